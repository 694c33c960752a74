/**
 * Which expert a prompt is for, known before any model runs (the pre-gate of Read-ME, 2410.19123, as a linear model): multinomial
 * logistic regression over hashed runs of token ids.
 *
 * A pure function of the ids: the same prompt goes to the same expert on every machine, and prompts that share their first
 * `tokensMax` tokens share their expert. Takes about a microsecond per token and expert.
 */
import { type FeatureForm, type Features, featuresOf } from './features.ts'

export interface PreGate {
  readonly form: FeatureForm
  readonly experts: readonly string[]
  readonly bias: Float32Array
  /** Of bucket b for expert e at `b * experts.length + e`. */
  readonly weights: Float32Array
}

export interface Gated {
  readonly expert: string
  /** How sure the gate is; the caller decides what is too little. */
  readonly probability: number
}

export function gateOf(gate: PreGate, tokens: readonly number[]): Gated {
  const law = lawOf(gate, featuresOf(tokens, gate.form))
  const best = law.reduce((leader, probability, i) => (probability > (law[leader] ?? 0) ? i : leader), 0)
  return { expert: gate.experts[best] ?? '', probability: law[best] ?? 0 }
}

/** The probability of each expert, in the gate's order. */
export function lawOf({ experts, bias, weights }: Pick<PreGate, 'experts' | 'bias' | 'weights'>, features: Features) {
  const scores = Float64Array.from(bias)
  for (const [i, bucket] of features.buckets.entries()) {
    const value = features.values[i] ?? 0
    const row = bucket * experts.length
    for (let e = 0; e < scores.length; e++) scores[e] = (scores[e] ?? 0) + value * (weights[row + e] ?? 0)
  }
  return softmax(scores)
}

function softmax(scores: Float64Array): Float64Array {
  const most = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const powers = scores.map((score) => Math.exp(score - most))
  const total = powers.reduce((sum, power) => sum + power, 0)
  return powers.map((power) => power / total)
}
