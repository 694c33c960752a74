/**
 * What a harmonizer reads of an answer: the embedding, then the signals, each brought to a spread of about one so that none drowns the
 * others. The same for the command that trains it and for the router that asks it. Pure.
 */
import assert from 'node:assert/strict'

export interface SignalScale {
  readonly mean: number
  readonly scale: number
}

/** `signals`: one for each scale, null where it is not known, which reads as its mean. */
export function featuresOf(
  embedding: ArrayLike<number>,
  signals: readonly (number | null)[],
  scales: readonly SignalScale[],
): Float64Array {
  assert.equal(signals.length, scales.length, 'a scale for each signal')
  const features = new Float64Array(embedding.length + signals.length)
  // Embeddings have the length one, so each coordinate is about 1 / √width.
  const spread = Math.sqrt(embedding.length)
  for (let i = 0; i < embedding.length; i += 1) features[i] = spread * (embedding[i] ?? 0)
  for (const [i, { mean, scale }] of scales.entries()) {
    const signal = signals[i] ?? null
    features[embedding.length + i] = signal === null ? 0 : (signal - mean) / scale
  }
  return features
}

/** Mean and deviation of what is known; a signal that never changes counts for nothing. */
export function scaleOf(values: readonly (number | null)[]): SignalScale {
  const known = values.filter((value): value is number => value !== null && Number.isFinite(value))
  if (known.length === 0) return { mean: 0, scale: 1 }
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length
  const variance = known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / known.length
  return { mean, scale: variance > 0 ? Math.sqrt(variance) : 1 }
}
