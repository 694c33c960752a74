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
import { depthFor, Leaders } from '../sampling/leaders.ts'
import { blockTokens } from '../sampling/noise.ts'
import { endOfRanking, type Measure, type Rank, Row } from '../sampling/row.ts'
import { type Law, normalised, pointLaw } from './law.ts'
import { type Kept, massOf, UnwrittenLaw } from './unwrittenLaw.ts'

export interface Processing extends Pick<Sampling, 'temperature' | 'topK' | 'minP' | 'topP'> {
  /**
   * For drafts: only this many of the most probable tokens are kept, none of them far behind the best, and top_p counts against these
   * alone. Lossless, as any draft law is; what it costs is the acceptance of its tail, and what it saves is a pass over the vocabulary, and
   * that loops over a draft's law are short.
   */
  readonly tokensMax?: number
}

/** Below this the law is the greedy one to within every rounding, and 1 / temperature would overflow. */
const temperatureMin = 1e-6
/** Block maxima further below the best than this need no more than a bound (`Row.read`), and a law that is cut to its head ends here. */
const depthNats = 10
/** A border of top_p is first looked for among so many, where the best token alone has this much. */
const shortRanking = 64
const sureShare = 0.02
/** `decay64` reaches 40 nats; beyond that a token has no mass. */
const reachNats = 40
/** Where a border of top_p is looked for: most laws have their mass in their first nats. */
const borderNats = [5, 12, reachNats] as const
const binsMax = reachNats * decayScale

export class LawReader {
  readonly #row: Row
  readonly #leaders: Leaders
  readonly #size: number
  readonly #tokens: Int32Array
  readonly #masses: Float64Array
  readonly #blockMasses: Float64Array
  readonly #binMasses = new Float64Array(binsMax)
  #leadersDepth = 0

  constructor(vocabularySize: number) {
    this.#size = vocabularySize
    this.#row = new Row(vocabularySize)
    this.#leaders = new Leaders(this.#row.blocks)
    this.#blockMasses = new Float64Array(this.#row.blocks)
    this.#tokens = new Int32Array(vocabularySize)
    this.#masses = new Float64Array(vocabularySize)
  }

  /** Throws `Failure('engine-fault')` where a logit is no number, or no token is possible. */
  read(logits: Float32Array, processing: Processing): Law {
    const law = this.look(logits, processing)
    return law instanceof UnwrittenLaw ? law.written : law
  }

  /**
   * The same law for a judge, who asks for few probabilities and seldom draws: where it may be a large one it is written out only for a
   * draw. Valid until the row changes or this reader reads another one.
   */
  look(logits: Float32Array, { temperature, topK, minP, topP, tokensMax = this.#size }: Processing): Law {
    const row = this.#row
    const topKMax = topK > 0 ? Math.min(topK, this.#size) : this.#size
    const isRanked = Math.min(topKMax, tokensMax) < this.#size
    row.read(logits, Math.max(depthNats * temperature, topK > 0 ? this.#leadersDepth : 0))
    if (row.best < 0) throw new Failure('engine-fault', 'no token is possible: every logit is -Infinity')
    if (temperature < temperatureMin) return pointLaw(row.best)
    const sharpness = 1 / temperature
    const logitMin = minP > 0 ? row.logitMax + Math.log(minP) / sharpness : Number.NEGATIVE_INFINITY
    const measure = { reference: row.logitMax, sharpness, logitMin }
    if (isRanked) return this.#leadingLaw({ measure, topK: topKMax, topP, tokensMax })
    const masses = this.#blockMasses
    const everything = { last: endOfRanking, mass: row.massTotal(measure, masses) }
    const massMax = topP * everything.mass
    const isShort = topP < 1 && sureShare * everything.mass < 1
    const short = isShort ? this.#lawOfFew(massMax, measure) : null
    if (short !== null) return short
    const kept = topP < 1 ? this.#keptBy(massMax, measure) : null
    const write = () => this.#write(measure, (kept ?? everything).last)
    return new UnwrittenLaw({ row, measure, kept: kept ?? everything, masses: kept === null ? masses : null, write })
  }

  /** Of the first tokens of the ranking: for top_k, and for drafts that are cut to their head. */
  #leadingLaw(options: { measure: Measure; topK: number; topP: number; tokensMax: number }): Law {
    const { measure, topK, topP, tokensMax } = options
    const ranked = tokensMax < topK ? this.#leaders.findNear(this.#row, tokensMax) : this.#leaders.find(this.#row, topK)
    if (tokensMax >= topK) this.#leadersDepth = depthFor(this.#row, ranked)
    const weights = new Float64Array(ranked.length)
    for (let i = 0; i < ranked.length; i++) weights[i] = this.#weightOf(ranked[i] ?? 0, measure)
    const tokens = Int32Array.from(ranked.subarray(0, countKept(weights, topP))).sort()
    for (let i = 0; i < tokens.length; i++) weights[i] = this.#weightOf(tokens[i] ?? 0, measure)
    return normalised(tokens, weights.slice(0, tokens.length))
  }

  /** The tokens that hold this much mass, where they are few; else null. */
  #lawOfFew(massMax: number, measure: Measure): Law | null {
    const { logits } = this.#row
    const ranked = this.#leaders.findNear(this.#row, shortRanking)
    let mass = 0
    for (let count = 0; count < ranked.length; count++) {
      if (mass >= massMax) {
        const tokens = Int32Array.from(ranked.subarray(0, count)).sort()
        const masses = new Float64Array(count)
        for (let i = 0; i < count; i++) masses[i] = massOf(logits[tokens[i] ?? 0] ?? 0, measure)
        return normalised(tokens, masses)
      }
      const logit = logits[ranked[count] ?? 0] ?? 0
      if (logit < measure.logitMin) return null
      mass += massOf(logit, measure)
    }
    return null
  }

  #weightOf(token: number, { reference, sharpness, logitMin }: Measure): number {
    const logit = this.#row.logits[token] ?? 0
    return logit < logitMin ? 0 : Math.exp((logit - reference) * sharpness)
  }

  /** Whatever has mass and is ranked up to `last`. */
  #write({ reference, sharpness, logitMin }: Measure, last: Rank): Law {
    const { logits } = this.#row
    const factor = sharpness * decayScale
    const [tokens, masses] = [this.#tokens, this.#masses]
    let count = 0
    for (let token = 0; token < logits.length; token++) {
      const logit = logits[token] ?? 0
      if (logit < logitMin || logit < last.logit || (logit === last.logit && token > last.token && last.token >= 0))
        continue
      const mass = decay64((reference - logit) * factor)
      if (mass === 0) continue
      tokens[count] = token
      masses[count] = mass
      count += 1
    }
    return normalised(tokens.slice(0, count), masses.slice(0, count))
  }

  /**
   * The last token of the ranking with less than `massMax` before it, and the mass up to it: by bins of logits, and in its bin by rank. Most
   * laws have that much in their first nats, so only blocks that reach so far up are looked at, and more where it was not enough. null where
   * by rounding no token has that much before it.
   */
  #keptBy(massMax: number, measure: Measure): Kept | null {
    let kept: Kept | null = null
    for (const nats of borderNats) {
      const bins = this.#fillBins(nats, measure)
      const binsUsed = nats * decayScale
      let mass = 0
      let bin = 0
      for (; bin < binsUsed - 1 && mass + (bins[bin] ?? 0) < massMax; bin++) mass += bins[bin] ?? 0
      if (bin === binsUsed - 1 && nats < reachNats) continue
      for (const rank of this.#ranksInBin(bin, measure)) {
        if (mass >= massMax) break
        mass += massOf(rank.logit, measure)
        kept = { last: rank, mass }
      }
      break
    }
    return kept
  }

  /** Mass by place in the ranking, in bins 1/64 nat wide, of tokens this far below the best. */
  #fillBins(nats: number, measure: Measure): Float64Array {
    const { reference, sharpness, logitMin } = measure
    const bins = this.#binMasses.fill(0)
    const factor = sharpness * decayScale
    const binsUsed = nats * decayScale
    this.#forEachFrom(Math.max(logitMin, reference - nats / sharpness), (_, logit) => {
      const place = (reference - logit) * factor
      if (place < binsUsed) bins[place | 0] = (bins[place | 0] ?? 0) + decay64(place)
    })
    return bins
  }

  #ranksInBin(bin: number, { reference, sharpness, logitMin }: Measure): Rank[] {
    const factor = sharpness * decayScale
    const ranks: Rank[] = []
    const lowest = reference - (bin + 2) / factor
    this.#forEachFrom(Math.max(logitMin, lowest), (token, logit) => {
      if ((((reference - logit) * factor) | 0) === bin) ranks.push({ logit, token })
    })
    return ranks.sort((a, b) => b.logit - a.logit || a.token - b.token)
  }

  /** Every token of at least this logit, by blocks: most hold none. */
  #forEachFrom(logitMin: number, visit: (token: number, logit: number) => void): void {
    const { logits, blocks, blockMax } = this.#row
    for (let block = 0; block < blocks; block++) {
      if ((blockMax[block] ?? 0) < logitMin) continue
      const end = Math.min((block + 1) * blockTokens, logits.length)
      for (let token = block * blockTokens; token < end; token++) {
        const logit = logits[token] ?? 0
        if (logit >= logitMin) visit(token, logit)
      }
    }
  }
}

/** How many leaders have less than `topP` of their mass before them, and a mass of their own. */
function countKept(weights: Float64Array, topP: number): number {
  const total = sumOf(weights)
  let before = 0
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i] ?? 0
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
