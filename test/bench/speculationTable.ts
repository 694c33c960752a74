/**
 * Draft length by goodput against every fixed length, on the simulated engine with measured step times: 25 cells of acceptance and load,
 * proposals free and at 0.02 of a step each.
 *
 * Run: `npm run bench:speculation-table` (`-- --quick` for a few cells). Time is the fake clock's, so the machine does not matter and
 * neither does its load. The best fixed length of a cell is chosen on its even rounds and compared on its odd ones, as is ours.
 */
import { parseArgs } from 'node:util'
import { curves } from '#test/simulate/curves.ts'
import { boundOf, type Cell, type Choice, runCell } from '#test/simulate/speculationCell.ts'
import { Report } from './harness/report.ts'
import { sum } from './harness/statistics.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    curve: { type: 'string', default: 'smolLm2' },
    rounds: { type: 'string', default: '12' },
  },
})
const curveName = values.curve === 'billionQ8' ? 'billionQ8' : values.curve === 'gemma' ? 'gemma' : 'smolLm2'
const curve = curves[curveName]
const rounds = Number(values.rounds)
const acceptances = values.quick ? [0.5, 0.9] : [0.5, 0.6, 0.7, 0.8, 0.9]
const loads = values.quick ? [1, 16] : [1, 2, 4, 8, 16]
const shares = values.quick ? [0.02] : [0, 0.02]
const fixedLengths = [0, 1, 2, 3, 4, 5, 6, 7, 8]

interface Result {
  readonly cell: Omit<Cell, 'curve'>
  readonly best: number
  readonly overBest: number
  readonly overNone: number
  readonly overFour: number
  readonly overBound: number | null
}

const even = (list: readonly number[]) => sum(list.filter((_, i) => i % 2 === 0))
const odd = (list: readonly number[]) => sum(list.filter((_, i) => i % 2 === 1))

async function measure(cell: Cell): Promise<Result> {
  // More streams teach more per step.
  const roundSteps = Math.max(40, Math.round(320 / cell.streams))
  const run = (choice: Choice) => runCell(cell, choice, { warmUpSteps: 60, roundSteps, rounds, seed: 1 })
  const fixed: number[][] = []
  for (const length of fixedLengths) fixed.push(await run(length))
  const ours = await run('adaptive')
  const best = fixedLengths.reduce((a, b) => (even(fixed[b] ?? []) > even(fixed[a] ?? []) ? b : a), 0)
  const over = (length: number) => odd(ours) / odd(fixed[length] ?? [])
  const { acceptance, streams, draftStepShare } = cell
  return {
    cell: { acceptance, streams, draftStepShare },
    best,
    overBest: over(best),
    overNone: over(0),
    overFour: over(4),
    overBound: streams === 1 ? odd(ours) / Math.floor(rounds / 2) / boundOf(cell) : null,
  }
}

const report = new Report(`speculation-table-${curveName}`, `Speculation by goodput, simulated, curve ${curveName}`)
const results: Result[] = []
for (const draftStepShare of shares) {
  for (const acceptance of acceptances)
    for (const streams of loads) results.push(await measure({ curve, acceptance, streams, draftStepShare }))
  const of = results.filter(({ cell }) => cell.draftStepShare === draftStepShare)
  report.table(
    `over the best fixed length (which, and its gain over none), proposals at ${draftStepShare} of a step`,
    ['acceptance', ...loads.map((streams) => `${streams} streams`)],
    acceptances.map((acceptance) => [
      String(acceptance),
      ...of.filter(({ cell }) => cell.acceptance === acceptance).map(textOf),
    ]),
  )
}
report.add('cells', results)
const least = (list: readonly number[]) => Math.min(...list)
report.require({
  what: 'over the best fixed length, worst cell',
  measured: least(results.map(({ overBest }) => overBest)),
  bound: { atLeast: 0.95 },
  unit: '',
})
report.require({
  what: 'over no speculation, worst cell',
  measured: least(results.map(({ overNone }) => overNone)),
  bound: { atLeast: 0.97 },
  unit: '',
})
report.require({
  what: 'over fixed length 4 at 16 streams and acceptance up to 0.8, worst cell',
  measured: least(
    results.flatMap(({ cell, overFour }) => (cell.streams === 16 && cell.acceptance <= 0.8 ? [overFour] : [])),
  ),
  bound: { atLeast: 1.15 },
  unit: '',
})
report.require({
  what: 'single stream over the bound from the curve, worst cell',
  measured: least(results.flatMap(({ overBound }) => overBound ?? [])),
  bound: { atLeast: 0.85 },
  unit: '',
})
process.exitCode = report.finish({ quick: values.quick })

function textOf({ overBest, overNone, best }: Result): string {
  return `${overBest.toFixed(2)} (${best}, ${(overNone / overBest).toFixed(2)})`
}
