/**
 * Does the machine still take what was measured? Live steps are compared with the curve as it was when it was measured or read, not with the
 * one that follows them: what live steps never visit (many rows, because drafting looks dear) can only be put right by measuring again.
 *
 * By number of rows, since a neighbour does not make all steps longer by the same factor. Short contexts only: measured is at a short one,
 * and how a longer one adds to it is a guess that measuring again would not better.
 */
import { type CostCurve, predictStepMs, type StepShape } from '#algorithms/costCurve.ts'

/** Ratio of live steps to measured ones from which on they disagree … */
const ratioMax = 1.3
/** … in the mean of so many steps. */
const stepsMin = 24
const followRate = 1 / stepsMin
const contextTokensMax = 512
/** One stalled step may claim at most this factor. */
const logRatioMax = Math.log(2)

interface Mean {
  steps: number
  logRatio: number
}

export class Drift {
  readonly #measured: CostCurve
  /** By number of rows; as many as one batch has. */
  readonly #means = new Map<number, Mean>()

  constructor(measured: CostCurve) {
    this.#measured = structuredClone(measured)
  }

  observe(step: StepShape & { readonly ms: number }): void {
    const { rows, contextTokens, ms } = step
    if (contextTokens > contextTokensMax || !(ms > 0)) return
    const mean = this.#means.get(rows) ?? { steps: 0, logRatio: 0 }
    this.#means.set(rows, mean)
    const logRatio = Math.log(ms / predictStepMs(this.#measured, step))
    const clipped = Math.max(-logRatioMax, Math.min(logRatioMax, logRatio))
    mean.steps += 1
    mean.logRatio += Math.max(followRate, 1 / mean.steps) * (clipped - mean.logRatio)
  }

  get hasDrifted(): boolean {
    const far = Math.log(ratioMax)
    return [...this.#means.values()].some(({ steps, logRatio }) => steps >= stepsMin && Math.abs(logRatio) > far)
  }
}
