/**
 * One cell of the speculation table: so many endless streams on a simulated engine with a measured curve, one acceptance, one way to
 * choose lengths. Each run takes a worker of its own through the real engine loop.
 */
import type { CostCurveMessage } from '#contracts/messages.ts'
import { curveOf } from './curves.ts'
import { expectedTokens } from '../../gpu-worker/core/speculation/expectedLength.ts'
import { predictShapeMs } from '../../gpu-worker/core/speculation/shapes.ts'
import { WorkerAlone } from './workerAlone.ts'

export interface Cell {
  readonly curve: CostCurveMessage
  readonly acceptance: number
  readonly streams: number
  /** What a drafted token takes, as a share of a step. */
  readonly draftStepShare: number
}

/** How long drafts are: always so many tokens, or as the goodput controller says. */
export type Choice = number | 'adaptive'

export interface RunOptions {
  /** Steps that are not counted. */
  readonly warmUpSteps: number
  readonly roundSteps: number
  readonly rounds: number
  readonly seed: number
}

/** Tokens per second of each round. */
export async function runCell(cell: Cell, choice: Choice, options: RunOptions): Promise<number[]> {
  const { acceptance, draftStepShare, streams, curve } = cell
  const isAdaptive = choice === 'adaptive'
  const alone = new WorkerAlone({
    slots: streams,
    contextTokensMax: 65_536,
    curve,
    simulated: { acceptance, draftStepShare, seed: options.seed },
    speculation: isAdaptive
      ? { method: 'auto', draftTokensMax: 8, controller: 'goodput' }
      : { method: choice === 0 ? 'off' : 'auto', draftTokensMax: Math.max(1, choice), controller: 'fixed' },
  })
  for (let i = 0; i < streams; i++) alone.send({ promptTokens: 16, tokens: 60_000 })
  await alone.runSteps(streams + options.warmUpSteps)
  const speeds: number[] = []
  for (let round = 0; round < options.rounds; round++) {
    const { tokens, ms } = await alone.runSteps(options.roundSteps)
    speeds.push((1_000 * tokens) / ms)
  }
  await alone.stop()
  return speeds
}

/** Tokens per second at the best length there is, from the curve alone. */
export function boundOf({ curve, acceptance, draftStepShare }: Cell, lengthMax = 8): number {
  const known = curveOf(curve)
  const step = (counts: number[]) => predictShapeMs(known, 'split', { counts, contextTokens: 256, promptTokens: 0 })
  const speeds = Array.from({ length: lengthMax + 1 }, (_, length) => {
    const ms = step([1 + length]) + length * draftStepShare * step([1])
    return (1_000 * expectedTokens(acceptance, length)) / ms
  })
  return Math.max(...speeds)
}
