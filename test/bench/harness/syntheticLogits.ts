/** Rows of logits shaped like a language model's: a Gaussian bulk and a few peaks. The same row for the same seed. */
import { uniform } from '../../../gpu-worker/core/sampling/noise.ts'

export type RowShape = 'peaked' | 'flat'

export function syntheticRow(options: { vocabularySize: number; shape: RowShape; seed: number }): Float32Array {
  const { vocabularySize, shape, seed } = options
  const row = new Float32Array(vocabularySize)
  for (let i = 0; i < vocabularySize; i++) row[i] = 2.5 * gaussian(seed, i)
  const peaks = shape === 'peaked' ? [16, 15, 13.5, 13, 12, 12, 11] : [11, 11, 10.5, 10, 10]
  for (const [i, peak] of peaks.entries()) row[Math.floor(uniform(seed, i, 9) * vocabularySize)] = peak
  return row
}

/** The row as a smaller model might see it: every logit with an error of this size. */
export function blurredRow(row: Float32Array, options: { sigma: number; seed: number }): Float32Array {
  return row.map((logit, i) => logit + options.sigma * gaussian(options.seed, i))
}

function gaussian(seed: number, index: number): number {
  return Math.sqrt(-2 * Math.log(uniform(seed, index, 1))) * Math.cos(2 * Math.PI * uniform(seed, index, 2))
}
