/**
 * How long a step of the simulated engine takes: a straight line (`stepMs`, `rowMs`), or a measured table, in which a split cache pays a
 * pass over the weights for each run of equal drafts, as llama.cpp does. Pure.
 */
import { type CostCurve, curveFrom, predictStepMs } from '#algorithms/costCurve.ts'
import { Failure } from '#contracts/failure.ts'
import type { SimulatedSettings } from '#contracts/resources/modelDeployment.ts'
import { type KvLayout, predictShapeMs } from '../core/speculation/shapes.ts'

export interface SimulatedStep {
  /** Tokens of each sequence that generates, in the order of slots. */
  readonly counts: readonly number[]
  readonly contextTokens: number
  readonly promptTokens: number
}

export interface StepTimes {
  stepMs(step: SimulatedStep): number
  /** Of so many rows in one pass, without prompts. */
  rowsMs(rows: number, contextTokens: number): number
  /** What the worker may know before its first step; null where times follow no table. */
  readonly curve: CostCurve | null
}

export type StepTimesOptions = Partial<SimulatedSettings> & { readonly kvLayout?: KvLayout }

export function createStepTimes(options: StepTimesOptions): StepTimes {
  const { costCurve, promptTokensPerSecond = 2_000, kvLayout = 'split' } = options
  if (costCurve === undefined) return straightLine(options)
  const curve = curveFrom({ ...costCurve, promptTokensPerSecond, origin: 'measured' })
  if (curve === null)
    throw new Failure(
      'invalid-configuration',
      'engine.simulated.costCurve: rows and contexts must rise, and ms have a line per context',
    )
  return {
    curve,
    stepMs: (step) => predictShapeMs(curve, kvLayout, step),
    rowsMs: (rows, contextTokens) => predictStepMs(curve, { rows, contextTokens }),
  }
}

/** A step of 0 ms means "as fast as possible": then prompts are free as well. */
function straightLine({ stepMs = 0, rowMs = 0, promptTokensPerSecond = 2_000 }: StepTimesOptions): StepTimes {
  const rowsMs = (rows: number) => (stepMs === 0 ? 0 : stepMs + rowMs * Math.max(0, rows - 1))
  return {
    curve: null,
    rowsMs,
    stepMs: ({ counts, promptTokens }) => {
      const promptMs = stepMs === 0 ? 0 : (1_000 * promptTokens) / promptTokensPerSecond
      return promptMs + rowsMs(counts.reduce((sum, count) => sum + count, 0))
    },
  }
}
