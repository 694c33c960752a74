/**
 * Draft length by goodput against every fixed length, on the simulated engine with measured step times: 25 cells of acceptance and load,
 * proposals free and at 0.02 of a step each.
 *
 * Run: `npm run bench -- speculationTable` (`--quick` for a few cells). Time is the fake clock's, so the machine does not matter and
 * neither does its load. The best fixed length of a cell is chosen on its even rounds and compared on its odd ones, as is ours.
 */
import { parseArgs } from 'node:util'
import { curves } from '#test/simulate/curves.ts'
import { boundOf, type Cell, type Choice, runCell } from '#test/simulate/speculationCell.ts'
import { type CellResult, judge, overInSum, requireCells, tellCells } from './harness/cellResults.ts'
import { Report } from './harness/report.ts'

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

async function measure(cell: Cell): Promise<CellResult> {
  // More streams teach more per step.
  const roundSteps = Math.max(40, Math.round(320 / cell.streams))
  const run = (choice: Choice) => runCell(cell, choice, { warmUpSteps: 60, roundSteps, rounds, seed: 1 })
  const fixed = new Map<number, number[]>()
  for (const length of fixedLengths) fixed.set(length, await run(length))
  const ours = await run('adaptive')
  const { acceptance, streams, draftStepShare } = cell
  const bound = streams === 1 ? ours.map(() => boundOf(cell)) : null
  return judge({ cell: { acceptance, streams, draftStepShare }, fixed, ours, bound }, overInSum)
}

const report = new Report(`speculation-table-${curveName}`, `Speculation by goodput, simulated, curve ${curveName}`)
const results: CellResult[] = []
for (const draftStepShare of shares)
  for (const acceptance of acceptances)
    for (const streams of loads) results.push(await measure({ curve, acceptance, streams, draftStepShare }))
tellCells(report, results)
requireCells(report, results, { overBest: 0.95 })
process.exitCode = report.finish({ quick: values.quick })
