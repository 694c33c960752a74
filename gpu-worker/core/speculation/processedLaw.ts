/**
 * The law that a row of logits stands for after temperature, top_k, min_p and top_p, in that order (`contracts/sampling.ts`). Bias,
 * penalties and grammar come before and have already changed the row. Draft and target must be processed alike, or the draft wastes
 * tokens; neither has to be, for any verifier to be lossless.
 *
 * Each truncation keeps a beginning of the ranking. A few tokens of it are found without ranking the rest; where top_p may keep
 * thousands, the masses are binned by logit and only the bin that holds the border is ranked. Scratch memory is reused: one reader
 * serves any number of rows, one at a time.
 */
import { Failure } from '#contracts/failure.ts'
import type { Sampling } from '#contracts/sampling.ts'
import { decay64, decayScale } from '../sampling/exponential.ts'
import { Leaders } from '../sampling/leaders.ts'
import { endOfRanking, type Rank, Row } from '../sampling/row.ts'
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
/** Block maxima further below the best than this need no more than a bound (`Row.read`). */
const depthNats = 10
/** `decay64` reaches 40 nats; beyond that a token has no mass. */
const binsMax = 40 * decayScale

export class LawReader {
  readonly #row: Row
  readonly #leaders: Leaders
  readonly #size: number
  /** Every token: shared by all laws that leave none out. */
  readonly #everyToken: Int32Array
  readonly #masses: Float64Array
  readonly #binMasses = new Float64Array(binsMax)

  constructor(vocabularySize: number) {
    this.#size = vocabularySize
    this.#row = new Row(vocabularySize)
    this.#leaders = new Leaders(this.#row.blocks)
    this.#everyToken = Int32Array.from({ length: vocabularySize }, (_, token) => token)
    this.#masses = new Float64Array(vocabularySize)
  }

  /** Throws `Failure('engine-fault')` where a logit is no number, or no token is possible. */
  read(logits: Float32Array, { temperature, topK, minP, topP, tokensMax = this.#size }: Processing): Law {
    const row = this.#row
    this.#readRow(logits, Number.POSITIVE_INFINITY)
    if (temperature < temperatureMin) return pointLaw(row.best)
    const sharpness = 1 / temperature
    const logitMin = minP > 0 ? row.logitMax + Math.log(minP) / sharpness : Number.NEGATIVE_INFINITY
    const measure = { reference: row.logitMax, sharpness, logitMin }
    const topKMax = topK > 0 ? Math.min(topK, this.#size) : this.#size
    if (Math.min(topKMax, tokensMax) < this.#size) return this.#leadingLaw({ measure, topK: topKMax, topP, tokensMax })
    const count = this.#weigh(measure)
    if (topP < 1) return this.#lawUpTo(this.#lastInside(topP, measure))
    return count === this.#size ? normalised(this.#everyToken, this.#masses.slice()) : this.#lawUpTo(endOfRanking)
  }

  /**
   * The same law for a judge, who asks for few probabilities and seldom draws: where nothing is truncated by rank it is written out only
   * for a draw. Valid until the row changes or this reader reads another one.
   */
  look(logits: Float32Array, processing: Processing): Law {
    const { temperature, topK, minP, topP, tokensMax = this.#size } = processing
    const isRanked = topP < 1 || (topK > 0 && topK < this.#size) || tokensMax < this.#size
    if (temperature < temperatureMin || isRanked) return this.read(logits, processing)
    const row = this.#row
    const sharpness = 1 / temperature
    this.#readRow(logits, depthNats * temperature)
    const logitMin = minP > 0 ? row.logitMax + Math.log(minP) * temperature : Number.NEGATIVE_INFINITY
    const measure = { reference: row.logitMax, sharpness, logitMin }
    return new UnwrittenLaw(row.logits, {
      measure,
      total: row.massTotal(measure),
      write: () => this.read(logits, processing),
    })
  }

  #readRow(logits: Float32Array, depth: number): void {
    this.#row.read(logits, depth)
    if (this.#row.best < 0) throw new Failure('engine-fault', 'no token is possible: every logit is -Infinity')
  }

  /** Of the first tokens of the ranking: for top_k, and for drafts that are cut to their head. */
  #leadingLaw(options: { measure: Measure; topK: number; topP: number; tokensMax: number }): Law {
    const { measure, topK, topP, tokensMax } = options
    const isTopKKnown = topK < this.#size
    // top_p counts against what top_k and min_p leave, whatever the head is cut to.
    const ranked = this.#leaders.find(this.#row, isTopKKnown && topP < 1 ? topK : Math.min(topK, tokensMax))
    const weights = Float64Array.from(ranked, (token) => this.#weightOf(token, measure))
    const total = isTopKKnown || topP >= 1 ? sumOf(weights) : this.#row.massTotal(measure)
    const tokens = Int32Array.from(ranked.subarray(0, Math.min(tokensMax, keptBy(weights, topP, total)))).sort()
    return normalised(
      tokens,
      Float64Array.from(tokens, (token) => this.#weightOf(token, measure)),
    )
  }

  #weightOf(token: number, { reference, sharpness, logitMin }: Measure): number {
    const logit = this.#row.logits[token] ?? 0
    return logit < logitMin ? 0 : Math.exp((logit - reference) * sharpness)
  }

  /** Mass of every token; how many have one. */
  #weigh({ reference, sharpness, logitMin }: Measure): number {
    const { logits } = this.#row
    const masses = this.#masses
    const factor = sharpness * decayScale
    let count = 0
    for (let token = 0; token < masses.length; token++) {
      const logit = logits[token] ?? 0
      const mass = logit < logitMin ? 0 : decay64((reference - logit) * factor)
      masses[token] = mass
      count += mass > 0 ? 1 : 0
    }
    return count
  }

  /** Mass by place in the ranking, in bins 1/64 nat wide. */
  #fillBins({ reference, sharpness }: Measure): Float64Array {
    const { logits } = this.#row
    const masses = this.#masses
    const bins = this.#binMasses.fill(0)
    const factor = sharpness * decayScale
    for (let token = 0; token < masses.length; token++) {
      const mass = masses[token] ?? 0
      const bin = ((reference - (logits[token] ?? 0)) * factor) | 0
      if (mass > 0) bins[bin] = (bins[bin] ?? 0) + mass
    }
    return bins
  }

  /** The last token of the ranking with less than `topP` of the mass before it: by bins, and in its bin by rank. */
  #lastInside(topP: number, measure: Measure): Rank {
    const bins = this.#fillBins(measure)
    const massMax = topP * sumOf(bins)
    let before = 0
    let bin = 0
    for (; bin < binsMax - 1 && before + (bins[bin] ?? 0) < massMax; bin++) before += bins[bin] ?? 0
    let last = endOfRanking
    for (const rank of this.#ranksInBin(bin, measure)) {
      if (before >= massMax) break
      before += this.#masses[rank.token] ?? 0
      last = rank
    }
    return last
  }

  #ranksInBin(bin: number, { reference, sharpness }: Measure): Rank[] {
    const { logits } = this.#row
    const factor = sharpness * decayScale
    const ranks: Rank[] = []
    for (let token = 0; token < logits.length; token++) {
      const logit = logits[token] ?? 0
      if ((this.#masses[token] ?? 0) > 0 && (((reference - logit) * factor) | 0) === bin) ranks.push({ logit, token })
    }
    return ranks.sort((a, b) => b.logit - a.logit || a.token - b.token)
  }

  /** Whatever has mass and is ranked up to `last`. */
  #lawUpTo(last: Rank): Law {
    const { logits } = this.#row
    const masses = this.#masses
    const tokens = new Int32Array(this.#size)
    const weights = new Float64Array(this.#size)
    let count = 0
    for (let token = 0; token < masses.length; token++) {
      const mass = masses[token] ?? 0
      const logit = logits[token] ?? 0
      if (mass === 0 || logit < last.logit || (logit === last.logit && token > last.token)) continue
      tokens[count] = token
      weights[count] = mass
      count += 1
    }
    return normalised(tokens.slice(0, count), weights.slice(0, count))
  }
}

const nothing = new Float64Array(0)

/** A law by its normaliser alone, until somebody needs all of it. */
class UnwrittenLaw implements Law {
  readonly #write: () => Law
  #written: Law | null = null
  readonly at: (token: number) => number

  constructor(logits: Float32Array, known: { measure: Measure; total: number; write: () => Law }) {
    const { reference, sharpness, logitMin } = known.measure
    const factor = sharpness * decayScale
    this.#write = known.write
    this.at = (token) => {
      const logit = logits[token] ?? Number.NEGATIVE_INFINITY
      return logit < logitMin ? 0 : decay64((reference - logit) * factor) / known.total
    }
  }

  get tokens(): Int32Array {
    return this.#whole.tokens
  }

  get weights(): Float64Array {
    return this.#whole.weights
  }

  get blocks(): Float64Array {
    return this.#whole.blocks ?? nothing
  }

  get #whole(): Law {
    return (this.#written ??= this.#write())
  }
}

interface Measure {
  readonly reference: number
  readonly sharpness: number
  readonly logitMin: number
}

/** How many leaders have less than `topP` of the mass before them, and a mass of their own. */
function keptBy(weights: Float64Array, topP: number, total: number): number {
  let before = 0
  for (const [i, weight] of weights.entries()) {
    if (weight === 0 || (topP < 1 && before >= topP * total)) return i
    before += weight
  }
  return weights.length
}

function sumOf(values: Float64Array): number {
  let sum = 0
  for (const value of values) sum += value
  return sum
}
