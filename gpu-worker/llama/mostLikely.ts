/** The most likely token of a row of logits and its probability. A row that holds no number is a fault of the model. Pure. */
import { Failure } from '#contracts/failure.ts'

/** What is less likely than the best by this much (as a logarithm) adds nothing that matters, and `exp` is what a pass costs. */
const depth = 16

export function mostLikely(logits: Float32Array): { readonly token: number; readonly probability: number } {
  let token = -1
  let most = Number.NEGATIVE_INFINITY
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i] ?? 0
    if (value <= most || Number.isNaN(value)) continue
    most = value
    token = i
  }
  if (token < 0) throw new Failure('engine-fault', 'a row of the draft model holds no numbers')
  let sum = 0
  for (let i = 0; i < logits.length; i++) {
    const below = (logits[i] ?? 0) - most
    if (below > -depth) sum += Math.exp(below)
  }
  return { token, probability: 1 / sum }
}
