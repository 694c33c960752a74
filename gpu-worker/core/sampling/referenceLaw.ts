/**
 * The law of the sampler written out plainly, for tests: every step over the whole vocabulary, nothing skipped, nothing fast.
 *
 * `sampler.ts` must draw from exactly this. Small on purpose; never used to serve.
 */
import type { Sampling } from '#contracts/sampling.ts'

export interface ReferenceInput {
  readonly logits: readonly number[]
  readonly sampling: Sampling
  readonly prompt?: readonly number[]
  readonly generated?: readonly number[]
  /** Tokens a grammar allows; all where there is none. */
  readonly allowed?: (token: number) => boolean
}

/** Probability of each token. */
export function referenceLaw(input: ReferenceInput): number[] {
  const logits = penalised(input)
  const { sampling, allowed } = input
  const truncated = truncate(logits, sampling)
  if (allowed === undefined) return truncated
  const conditioned = truncated.map((p, token) => (allowed(token) ? p : 0))
  if (conditioned.some((p) => p > 0)) return normalise(conditioned)
  return truncate(
    logits.map((logit, token) => (allowed(token) ? logit : Number.NEGATIVE_INFINITY)),
    sampling,
  )
}

export function softmax(logits: readonly number[]): number[] {
  const most = Math.max(...logits)
  return normalise(logits.map((logit) => Math.exp(logit - most)))
}

function penalised({ logits, sampling, prompt = [], generated = [] }: ReferenceInput): number[] {
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = sampling
  const bias = new Map(sampling.logitBias)
  return logits.map((raw, token) => {
    let logit = raw + (bias.get(token) ?? 0)
    if (prompt.includes(token) || generated.includes(token)) {
      logit = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty
    }
    const count = generated.filter((other) => other === token).length
    return logit - frequencyPenalty * count - (count > 0 ? presencePenalty : 0)
  })
}

function truncate(logits: readonly number[], sampling: Sampling): number[] {
  const ranking = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b)
  if (sampling.temperature === 0) return logits.map((_, token) => (token === ranking[0] ? 1 : 0))
  let law = softmax(logits.map((logit) => logit / sampling.temperature))
  if (sampling.topK > 0) law = keep(law, ranking.slice(0, sampling.topK))
  const most = Math.max(...law)
  if (sampling.minP > 0) law = law.map((p) => (p >= sampling.minP * most ? p : 0))
  law = normalise(law)
  if (sampling.topP === 1) return law
  let before = 0
  const kept = ranking.filter((token) => {
    const isKept = before < sampling.topP
    before += law[token] ?? 0
    return isKept
  })
  return keep(law, kept)
}

function keep(law: readonly number[], tokens: readonly number[]): number[] {
  const kept = new Set(tokens)
  return normalise(law.map((p, token) => (kept.has(token) ? p : 0)))
}

function normalise(weights: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return weights.map((weight) => weight / total)
}
