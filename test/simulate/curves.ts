/**
 * Cost curves that were measured, for simulations. Each says of what: a table of rows of one decode, in milliseconds, on two cores
 * with AMX, llama.cpp v0.5.0.
 */
import { type CostCurve, curveFrom } from '#algorithms/costCurve.ts'
import type { CostCurveMessage } from '#contracts/messages.ts'

/** SmolLM2-135M Q4_1, 256 tokens in the sequence: the second row costs 0.64 of the first, which leaves speculation little room. */
export const smolLm2: CostCurveMessage = {
  rows: [1, 2, 3, 4, 6, 8, 12, 16, 32],
  contexts: [256],
  ms: [[5.45, 8.9, 10.4, 11.9, 14.3, 16.4, 22, 25.5, 48.5]],
  promptTokensPerSecond: 1_319,
  origin: 'measured',
}

/** Gemma3-270m Q4_K_M, 256 tokens in the sequence. */
export const gemma: CostCurveMessage = {
  rows: [1, 2, 3, 4, 6, 8, 12, 16, 32],
  contexts: [256],
  ms: [[15.7, 20.7, 22, 23.5, 29.1, 32.7, 42.5, 49.8, 86.3]],
  promptTokensPerSecond: 661,
  origin: 'measured',
}

/** A model of 1.1 billion weights in Q8_0 (random ones, real kernels), 64 tokens of context: a target that a draft pays for. */
export const billionQ8: CostCurveMessage = {
  rows: [1, 2, 3, 5, 9, 16, 32, 64],
  contexts: [64],
  ms: [[1, 1.33, 1.41, 1.6, 1.85, 2.3, 4, 7.1].map((ratio) => 43.6 * ratio)],
  promptTokensPerSecond: 206,
  origin: 'measured',
}

export const curves = { smolLm2, gemma, billionQ8 }

export function curveOf(message: CostCurveMessage): CostCurve {
  const curve = curveFrom(message)
  if (curve === null) throw new Error('the table of a curve is not well formed')
  return curve
}
