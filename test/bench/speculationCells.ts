/**
 * Draft length by goodput against fixed lengths on the real engine: acceptance 0.5 to 0.9 x 1 to 16 streams, proposals free and at 0.02 of
 * a step per token. What `speculationTable.ts` does on the simulated one.
 *
 * SmolLM2 through the engine loop in this process, one compute thread, f16 cache (what a worker has unless it is told otherwise: with the
 * reproducible one a second row costs more, so there is less to decide). Texts were written greedily by the target itself; with one thread and fewer
 * than 512 cells its choices do not depend on the batch, and answers that stray from their text all the same are counted. Every way to choose
 * lengths has the same texts and the same luck in a round. Judged is the time that decodes of a side usually take for their shape, because
 * a virtual machine stalls now and then; wall time is kept beside it.
 *
 *   PACELINE_TEST_MODEL=model.gguf node test/bench/speculationCells.ts [--streams 1,16] [--acceptance 0.5,0.9] [--costs free,0.02]
 *     [--lengths 0,1,2,3,4,6,8] [--rounds 6] [--ms 600] [--reproducible] [--quick]
 *
 * A part (with --streams, --acceptance or --costs) is joined to what earlier parts left; a whole run begins anew. Each cell is kept once it is
 * measured. About 20 s for one stream, more than a minute for 16.
 */
import * as z from 'zod'
import { predictStepMs } from '#algorithms/costCurve.ts'
import { curveOf } from '#test/simulate/curves.ts'
import { openModel } from '../behaviour/engineStand.ts'
import { expectedTokens } from '../../gpu-worker/core/speculation/expectedLength.ts'
import { measureBatchCost } from './harness/batchCost.ts'
import { calibratedCurve } from './harness/calibratedCurve.ts'
import { type CellKey, judge, type Over, requireCells, tellCells, textOf } from './harness/cellResults.ts'
import { earlierList, joinParts } from './harness/earlierResults.ts'
import { contextTokens, EngineCells, lengthMax, windowTokensMax, writeCellTexts } from './harness/engineCell.ts'
import { machine } from './harness/machine.ts'
import { modelPath } from './harness/model.ts'
import { readOptions } from './harness/options.ts'
import { figure, Report } from './harness/report.ts'
import { median, sum } from './harness/statistics.ts'

const Key = z.object({ acceptance: z.number(), streams: z.number(), draftStepShare: z.number() })
const Judged = z.object({
  cell: Key,
  best: z.number(),
  overBest: z.number(),
  overNone: z.number(),
  overFour: z.number(),
  overBound: z.number().nullable(),
})
const MeasuredCell = Judged.extend({
  /** The same by wall time, stalls and all. */
  wall: Judged,
  /** Tokens per second by the way lengths were chosen, median of the rounds. */
  speeds: z.record(z.string(), z.number()),
  waves: z.number(),
  noisy: z.number(),
  strayed: z.number(),
  commit: z.string(),
})
type MeasuredCell = z.infer<typeof MeasuredCell>

const name = 'speculation-cells'
const options = readOptions({ rounds: 6, quickRounds: 2 })
const isReproducible = process.argv.includes('--reproducible')
const numbers = (option: string, otherwise: string) => options.text(option, otherwise).split(',').map(Number)
const loads = numbers('streams', options.quick ? '1,16' : '1,2,4,8,16')
const acceptances = numbers('acceptance', options.quick ? '0.5,0.9' : '0.5,0.6,0.7,0.8,0.9')
const shares = options
  .text('costs', options.quick ? '0.02' : 'free,0.02')
  .split(',')
  .map((cost) => (cost === 'free' ? 0 : Number(cost)))
// Nothing and 4 are what every cell is compared with.
const lengths = [...new Set([0, 4, ...numbers('lengths', '0,1,2,3,4,6,8')])].toSorted((a, b) => a - b)
const isPart = ['streams', 'acceptance', 'costs'].some((option) => options.text(option, '') !== '')
const { commit } = machine()

/** Round by round, because both had the same luck in it. */
const overInMedian: Over = (ours, theirs) => median(ours.map((speed, i) => speed / (theirs[i] ?? Number.NaN)))

const report = new Report(name, 'Speculation by goodput, real engine')
await using runner = await openModel(modelPath(), {
  slots: Math.max(...loads),
  contextTokensMax: 256,
  reproducible: isReproducible,
})
const texts = await writeCellTexts(runner, Math.max(...loads))
const { curve, isQuiet } = await calibratedCurve(runner)
const known = curveOf(curve)
const stepMs = (rows: number) => predictStepMs(known, { rows, contextTokens })
/** So long a time of plain decoding, and enough steps for a share of them to be probes. */
const windowMs = options.value('ms', options.quick ? 250 : 600)
const tokensOf = (streams: number) => {
  const steps = Math.round(((streams <= 2 ? 2 : 1) * windowMs) / stepMs(streams))
  return streams * Math.min(windowTokensMax(streams), Math.max(12, steps))
}
const rowsMs = await measureBatchCost(runner, { rowsMax: 1 + lengthMax, rounds: 9, contextTokens })
report.add('curve', curve)
report.add('rowsMs', rowsMs)
if (!isQuiet) report.note('the machine was not quiet while the cost curve was measured')
report.note(`ms of 1, 2, … rows of one stream: ${rowsMs.map(figure).join(', ')}`)
report.note(`ms of ${curve.rows.join(', ')} rows of many: ${(curve.ms[0] ?? []).map(figure).join(', ')}`)

const wanted = shares.flatMap((draftStepShare) =>
  acceptances.flatMap((acceptance) => loads.map((streams): CellKey => ({ acceptance, streams, draftStepShare }))),
)
report.note(`${wanted.length} cells, about ${figure(sum(wanted.map(estimateMs)) / 60_000)} minutes`)
const cells = new EngineCells({ runner, texts, curve, rowsMs, lengths, rounds: options.rounds, tokensOf })
const keyOf = ({ cell }: MeasuredCell) => `${cell.draftStepShare} ${cell.acceptance} ${cell.streams}`
let results = isPart && !options.quick ? earlierList(name, 'cells', MeasuredCell) : []
for (const cell of wanted) {
  results = joinParts(results, [await measure(cell)], keyOf)
  report.add('cells', results)
  report.save({ quick: options.quick })
}
tellCells(report, results)
requireCells(report, results, { overBest: 0.92, overBestMean: 0.97 })
const wall = results.map((result) => result.wall)
report.note(
  `by wall time: over the best ${figure(Math.min(...wall.map(({ overBest }) => overBest)))} in the worst cell, ` +
    `${figure(sum(wall.map(({ overBest }) => overBest)) / wall.length)} in the mean; ` +
    `over none ${figure(Math.min(...wall.map(({ overNone }) => overNone)))} in the worst`,
)
const total = (of: (result: MeasuredCell) => number) => sum(results.map(of))
report.note(
  `${results.length} cells; ${total(({ noisy }) => noisy)} of ${total(({ waves }) => waves)} runs were disturbed, ` +
    `${total(({ strayed }) => strayed)} answers strayed from their text`,
)
process.exitCode = report.finish({ quick: options.quick })

async function measure(cell: CellKey): Promise<MeasuredCell> {
  const startedAt = performance.now()
  const { steady, wall, ...counts } = await cells.measure(cell)
  const result = judge(steady, overInMedian)
  const byWall = judge(wall, overInMedian)
  const middle = (list: readonly number[]) => (list.length === 0 ? [] : [median(list)])
  const speeds = Object.fromEntries(
    [...steady.fixed, ['goodput', steady.ours] as const].flatMap(([way, list]) =>
      middle(list).map((speed) => [String(way), speed] as const),
    ),
  )
  report.note(
    `acceptance ${cell.acceptance}, ${cell.streams} streams, proposals at ${cell.draftStepShare}: ${textOf(result)}` +
      `${result.overBound === null ? '' : `, over the bound ${figure(result.overBound)}`}; by wall time ${textOf(byWall)}; ` +
      `${counts.noisy} of ${counts.waves} runs disturbed, ${figure((performance.now() - startedAt) / 1_000)} s`,
  )
  return { ...result, wall: byWall, speeds, ...counts, commit }
}

/** By the curve, with half of the lengths falling out after the first round. */
function estimateMs({ acceptance, streams, draftStepShare }: CellKey): number {
  const promptMs = (streams * 6_000) / curve.promptTokensPerSecond
  const waveMs = (length: number) => {
    const steps = tokensOf(streams) / streams / expectedTokens(acceptance, length)
    return promptMs + steps * (stepMs(streams * (1 + length)) + length * draftStepShare * stepMs(streams))
  }
  const one = lengths.map(waveMs)
  const best = Math.min(...one)
  const kept = one.filter((ms, i) => ms <= best / 0.85 || [0, 4].includes(lengths[i] ?? 0))
  return sum(one) + best + options.rounds * (sum(kept) + best)
}
