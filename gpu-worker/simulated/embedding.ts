/** Made-up embeddings: the mean of one pseudo-random direction per token, so that texts that share words lie near each other. */
import { mix } from './languageModel.ts'

const dimensions = 64

export function embedTokens(tokens: readonly number[], seed: number): Float32Array {
  const sum = new Float32Array(dimensions)
  // An empty input still has a direction: a vector of length 0 could not be normalised.
  for (const token of tokens.length === 0 ? [-1] : tokens) addDirection(sum, mix(seed, token))
  const length = Math.hypot(...sum)
  return sum.map((value) => value / length)
}

function addDirection(sum: Float32Array, tokenHash: number): void {
  for (let i = 0; i < dimensions; i++) sum[i] = (sum[i] ?? 0) + mix(tokenHash, i) / 0x8000_0000 - 1
}
