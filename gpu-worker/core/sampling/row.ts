/**
 * One row of logits with the maxima of its blocks of 64 tokens, so that searches look at a block once and open few of them.
 *
 * Tokens are ranked by (logit descending, id ascending): a strict order, the same one for greedy choice, truncation and logprobs.
 * A token with logit -Infinity is impossible. Scratch memory is reused: a `Row` serves any number of sequences, one at a time.
 */
import { Failure } from '#contracts/failure.ts'
import { decay64, decayScale } from './exponential.ts'
import { blockBits, blockScoreMax, blockTime, blockTokens, blockWinner, tokenDelay } from './noise.ts'

/** A place in the ranking. `endOfRanking` is behind every token. */
export interface Rank {
  readonly logit: number
  readonly token: number
}
export const endOfRanking: Rank = { logit: Number.NEGATIVE_INFINITY, token: -1 }

export interface Race {
  readonly firstKey: number
  readonly secondKey: number
  /** 1 / temperature. */
  readonly sharpness: number
  /** Only tokens ranked before this take part. */
  readonly before: Rank
  /** Only tokens with at least this logit take part. */
  readonly logitMin: number
}

/** Mass of a token: exp((logit - reference) · sharpness); none where the logit is below `logitMin`. */
export interface Measure {
  readonly reference: number
  readonly sharpness: number
  readonly logitMin: number
}

export class Row {
  logits: Float32Array = new Float32Array(0)
  /** Largest logit, and the lowest token that has it; -1 where every token is impossible. */
  logitMax = Number.NEGATIVE_INFINITY
  best = -1
  /** Tokens above this lie in blocks whose maximum is known. */
  exactAbove = Number.NEGATIVE_INFINITY
  readonly blocks: number
  /** Upper bound of each block's logits: the maximum itself, or a floor that is far enough below the best of the row. */
  readonly blockMax: Float64Array
  /** The maximum where it is known, else -Infinity. */
  readonly blockTop: Float64Array
  readonly #size: number

  constructor(vocabularySize: number) {
    this.#size = vocabularySize
    this.blocks = Math.ceil(vocabularySize / blockTokens)
    this.blockMax = new Float64Array(this.blocks)
    this.blockTop = new Float64Array(this.blocks)
  }

  /**
   * Block maxima more than `depth` below the best logit seen so far are only bounded. Throws `Failure('engine-fault')` where a logit
   * is NaN or +Infinity.
   */
  read(logits: Float32Array, depth: number): void {
    this.logits = logits
    let total = 0
    let most = Number.NEGATIVE_INFINITY
    for (let block = 0; block < this.blocks; block++) {
      total += this.#readBlock(block, most - depth)
      most = Math.max(most, this.blockTop[block] ?? 0)
    }
    // A sum shows any NaN or +Infinity for the price of an addition; -Infinity (an impossible token) is legal.
    if (Number.isNaN(total) || total === Number.POSITIVE_INFINITY) {
      throw new Failure('engine-fault', 'the model computed logits that are not numbers; its file or cache is damaged')
    }
    this.#findBest()
    this.exactAbove = this.logitMax - depth
  }

  /** Takes a token out of the row. */
  exclude(token: number): void {
    this.logits[token] = Number.NEGATIVE_INFINITY
    this.#readBlock(Math.floor(token / blockTokens), Number.NEGATIVE_INFINITY)
    this.#findBest()
  }

  /** Mass of the tokens ranked before `before`. */
  massBefore(before: Rank, options: Measure): number {
    const { logits } = this
    const { reference, logitMin } = options
    const factor = options.sharpness * decayScale
    let mass = 0
    for (let block = 0; block < this.blocks; block++) {
      const top = this.blockMax[block] ?? 0
      if (top < before.logit || top < logitMin || (reference - top) * factor > decayScale * 40) continue
      const end = Math.min((block + 1) * blockTokens, this.#size)
      for (let i = block * blockTokens; i < end; i++) {
        const logit = logits[i] ?? 0
        if (logit < logitMin || logit < before.logit) continue
        if (logit > before.logit || i < before.token) mass += decay64((reference - logit) * factor)
      }
    }
    return mass
  }

  /** A lower bound, for one term per block, of the mass of the tokens that `race` allows and that are ranked behind `rank`. */
  massBehindMin(rank: Rank, race: Measure & { before: Rank }): number {
    const factor = race.sharpness * decayScale
    let mass = 0
    for (let block = 0; block < this.blocks; block++) {
      const top = this.blockTop[block] ?? 0
      if (top < rank.logit && top > race.before.logit && top >= race.logitMin)
        mass += decay64((race.reference - top) * factor)
    }
    return mass
  }

  /** Mass of all tokens of at least `logitMin`; that of each block into `masses`. */
  massTotal(options: Measure, masses: Float64Array | null = null): number {
    const { logits } = this
    const { reference, logitMin } = options
    const factor = options.sharpness * decayScale
    let even = 0
    let odd = 0
    for (let block = 0; block < this.blocks; block++) {
      const top = this.blockMax[block] ?? 0
      const before = even + odd
      if (masses !== null) masses[block] = 0
      if (top < logitMin || (reference - top) * factor > decayScale * 40) continue
      const begin = block * blockTokens
      const end = Math.min(begin + blockTokens, this.#size)
      if (logitMin > Number.NEGATIVE_INFINITY) {
        for (let i = begin; i < end; i++) {
          const logit = logits[i] ?? 0
          if (logit >= logitMin) even += decay64((reference - logit) * factor)
        }
      } else {
        let i = begin
        for (; i + 1 < end; i += 2) {
          even += decay64((reference - (logits[i] ?? 0)) * factor)
          odd += decay64((reference - (logits[i + 1] ?? 0)) * factor)
        }
        if (i < end) even += decay64((reference - (logits[i] ?? 0)) * factor)
      }
      if (masses !== null) masses[block] = even + odd - before
    }
    return even + odd
  }

  /** The token that wins the race, or -1 where no token may take part. */
  winner(race: Race): number {
    const search = { token: -1, score: Number.NEGATIVE_INFINITY }
    if (this.best < 0) return -1
    const likely = Math.floor(this.best / blockTokens)
    this.#raceBlock(likely, race, search)
    for (let block = 0; block < this.blocks; block++) {
      const top = this.blockMax[block] ?? 0
      if (top < race.before.logit || top < race.logitMin || top === Number.NEGATIVE_INFINITY || block === likely)
        continue
      const weight = (top - this.logitMax) * race.sharpness
      const high = blockBits(race.firstKey, race.secondKey, block)
      if (weight + blockScoreMax(high) > search.score) this.#raceBlock(block, race, search)
    }
    return search.token
  }

  #raceBlock(block: number, race: Race, search: { token: number; score: number }): void {
    const { firstKey, secondKey, sharpness, before, logitMin } = race
    const least = blockTime(firstKey, secondKey, block)
    const scoreMax = -Math.log(least)
    if (((this.blockMax[block] ?? 0) - this.logitMax) * sharpness + scoreMax < search.score) return
    const winner = blockWinner(firstKey, secondKey, block)
    const end = Math.min((block + 1) * blockTokens, this.#size)
    for (let i = block * blockTokens; i < end; i++) {
      const logit = this.logits[i] ?? 0
      if (logit < logitMin || logit < before.logit || logit === Number.NEGATIVE_INFINITY) continue
      if (logit === before.logit && i >= before.token) continue
      const weight = (logit - this.logitMax) * sharpness
      if (weight + scoreMax <= search.score) continue
      const score = i === winner ? weight + scoreMax : weight - Math.log(least + tokenDelay(firstKey, secondKey, i))
      if (score > search.score) {
        search.score = score
        search.token = i
      }
    }
  }

  /** The best token must be exact: blocks that were only bounded are read again as long as one of them could hold it. */
  #findBest(): void {
    for (;;) {
      let most = Number.NEGATIVE_INFINITY
      let block = -1
      for (let i = 0; i < this.blocks; i++) {
        const top = this.blockMax[i] ?? 0
        if (top > most) {
          most = top
          block = i
        }
      }
      if (block < 0 || this.blockTop[block] === most) {
        this.logitMax = most
        this.best = block < 0 ? -1 : this.logits.indexOf(most, block * blockTokens)
        return
      }
      this.#readBlock(block, Number.NEGATIVE_INFINITY)
    }
  }

  #readBlock(block: number, floor: number): number {
    return readBlock(this, block, floor)
  }
}

/**
 * Stores what is known of a block's maximum and returns the sum of its logits. Starting from a floor that few logits exceed makes
 * the branch predictable, which is worth a factor of three.
 */
function readBlock({ logits, blockMax, blockTop }: Row, block: number, floor: number): number {
  const begin = block * blockTokens
  const end = Math.min(begin + blockTokens, logits.length)
  let most = floor
  let even = 0
  let odd = 0
  let i = begin
  for (; i + 3 < end; i += 4) {
    const a = logits[i] ?? 0
    const b = logits[i + 1] ?? 0
    const c = logits[i + 2] ?? 0
    const d = logits[i + 3] ?? 0
    even += a + b
    odd += c + d
    if (a > most || b > most || c > most || d > most) most = Math.max(Math.max(a, b), Math.max(c, d))
  }
  for (; i < end; i++) {
    const a = logits[i] ?? 0
    even += a
    if (a > most) most = a
  }
  blockMax[block] = most
  blockTop[block] = most > floor ? most : Number.NEGATIVE_INFINITY
  return even + odd
}
