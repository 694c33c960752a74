/**
 * The law that a row of logits stands for after temperature, top_k, min_p and top_p, in that order (`contracts/sampling.ts`). Bias,
 * penalties and grammar come before and have already changed the row. Draft and target must be processed alike, or the draft wastes
 * tokens; neither has to be, for any verifier to be lossless.
 *
 * Each truncation keeps a beginning of the ranking, so only as many leaders are found as it can keep. A law over the whole vocabulary
 * costs one exponential per token. Scratch memory is reused: one reader serves any number of rows, one at a time.
 */
import type { Sampling } from '#contracts/sampling.ts'
import { decay64, decayScale } from '../sampling/exponential.ts'
import { Leaders } from '../sampling/leaders.ts'
import { Row } from '../sampling/row.ts'
import { type Law, normalised, pointLaw } from './law.ts'

export interface Processing extends Pick<Sampling, 'temperature' | 'topK' | 'minP' | 'topP'> {
  /**
   * For drafts: only this many of the most probable tokens are kept, whatever truncation leaves. Lossless, as any draft law is; what
   * it costs is the acceptance of its tail, and what it saves is that loops over a draft's law are short.
   */
  readonly tokensMax?: number
}

/** Below this the law is the greedy one to within every rounding, and 1 / temperature would overflow. */
const temperatureMin = 1e-6
/** Leaders found at first, and then eight times as many, until they hold top_p of the mass. */
const leadersFirst = 64

export class LawReader {
  readonly #row: Row
  readonly #leaders: Leaders
  readonly #size: number

  constructor(vocabularySize: number) {
    this.#size = vocabularySize
    this.#row = new Row(vocabularySize)
    this.#leaders = new Leaders(this.#row.blocks)
  }

  /** Throws `Failure('engine-fault')` where a logit is no number. */
  read(logits: Float32Array, { temperature, topK, minP, topP, tokensMax = this.#size }: Processing): Law {
    const row = this.#row
    row.read(logits, Number.POSITIVE_INFINITY)
    if (temperature < temperatureMin) return pointLaw(row.best)
    const sharpness = 1 / temperature
    const logitMin = minP > 0 ? row.logitMax + Math.log(minP) / sharpness : Number.NEGATIVE_INFINITY
    const measure = { reference: row.logitMax, sharpness, logitMin }
    const topKMax = topK > 0 ? Math.min(topK, this.#size) : this.#size
    if (Math.min(topKMax, tokensMax) === this.#size && topP >= 1) return this.#wholeLaw(measure)
    return this.#leadingLaw({ measure, topK: topKMax, topP, tokensMax })
  }

  #wholeLaw({ reference, sharpness, logitMin }: Measure): Law {
    const { logits } = this.#row
    const factor = sharpness * decayScale
    const tokens = new Int32Array(this.#size)
    const weights = new Float64Array(this.#size)
    let count = 0
    for (let token = 0; token < logits.length; token++) {
      const logit = logits[token] ?? 0
      const weight = logit < logitMin ? 0 : decay64((reference - logit) * factor)
      if (weight === 0) continue
      tokens[count] = token
      weights[count] = weight
      count += 1
    }
    return normalised(tokens.subarray(0, count), weights.subarray(0, count))
  }

  #leadingLaw(options: { measure: Measure; topK: number; topP: number; tokensMax: number }): Law {
    const { measure, topK, topP, tokensMax } = options
    // top_p counts against what top_k and min_p leave; without top_k that is found without ranking it.
    const total = topP >= 1 ? Number.POSITIVE_INFINITY : topK < this.#size ? null : this.#row.massTotal(measure)
    let wanted = topK < this.#size ? topK : Math.min(leadersFirst, tokensMax)
    for (;;) {
      const ranked = this.#ranked(wanted, measure)
      const massMax = topP * (total ?? ranked.mass)
      const kept = Math.min(tokensMax, keptBy(ranked.weights, massMax))
      const isEnough =
        kept < ranked.weights.length || ranked.weights.length < wanted || wanted >= Math.min(topK, tokensMax)
      if (isEnough) return inTokenOrder(ranked.tokens.slice(0, kept), ranked.weights)
      wanted = Math.min(8 * wanted, topK, tokensMax)
    }
  }

  /** The first tokens of the ranking that min_p allows. */
  #ranked(wanted: number, { reference, sharpness, logitMin }: Measure) {
    const { logits } = this.#row
    const tokens: number[] = []
    const weights: number[] = []
    let mass = 0
    for (const token of this.#leaders.find(this.#row, wanted)) {
      const logit = logits[token] ?? 0
      if (logit < logitMin) break
      const weight = Math.exp((logit - reference) * sharpness)
      tokens.push(token)
      weights.push(weight)
      mass += weight
    }
    return { tokens, weights, mass }
  }
}

interface Measure {
  readonly reference: number
  readonly sharpness: number
  readonly logitMin: number
}

/** How many leaders have less than this mass before them. */
function keptBy(weights: readonly number[], massMax: number): number {
  let before = 0
  for (const [i, weight] of weights.entries()) {
    if (before >= massMax) return i
    before += weight
  }
  return weights.length
}

/** `weights[i]` belongs to `tokens[i]`. */
function inTokenOrder(tokens: readonly number[], weights: readonly number[]): Law {
  const places = [...tokens.keys()].sort((a, b) => (tokens[a] ?? 0) - (tokens[b] ?? 0))
  return normalised(
    Int32Array.from(places, (place) => tokens[place] ?? 0),
    Float64Array.from(places, (place) => weights[place] ?? 0),
  )
}
