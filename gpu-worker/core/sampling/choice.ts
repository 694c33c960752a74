/**
 * The draw itself: temperature, truncation, grammar.
 *
 * Truncation is never computed as a set where it need not be. top_k, min_p and top_p each keep a beginning of the ranking, so a
 * winner is inside exactly when what is ranked before it is small enough; a winner outside is dropped together with everything
 * behind it, and the race among the rest decides. `top_p` needs the normaliser for that test, one pass over the row.
 */
import { Failure } from '#contracts/failure.ts'
import type { Sampling } from '#contracts/sampling.ts'
import type { GrammarMatcher } from '../../modelRunner.ts'
import { depthFor, Leaders } from './leaders.ts'
import { firstKey, secondKey } from './noise.ts'
import { endOfRanking, type Measure, type Rank, Row } from './row.ts'

export interface Draw {
  readonly logits: Float32Array
  readonly position: number
  readonly grammar: GrammarMatcher | undefined
}

/** Single-token questions to the grammar before it masks the whole row: a question costs 12 µs, a mask 9 ms (49,152 tokens). */
const refusalsMax = 16
/** Below this the law is the greedy one to within every rounding, and 1 / temperature would overflow. */
const temperatureMin = 1e-6
/** A block with 64 tokens this far behind the best is opened with a chance of 64·exp(-10), 0.3%: about two of 768. */
const depthNats = 10
/** Relative error of the masses (`exponential.ts`), so that the quick test never disagrees with the full one. */
const massError = 1e-9

export class Choice {
  readonly #sampling: Sampling
  readonly #endTokens: readonly number[]
  readonly #row: Row
  readonly #leaders: Leaders
  readonly #sharpness: number
  readonly #greedy: boolean
  /** How far below the best logit block maxima must be exact, see `Row.read`. */
  readonly #depth: number
  /** The same for the leaders of top_k. */
  #leadersDepth = 0
  #support: Support
  #keys = { firstKey: 0, secondKey: 0 }

  constructor(options: { sampling: Sampling; vocabularySize: number; endTokens: readonly number[] }) {
    const { sampling } = options
    this.#sampling = sampling
    this.#endTokens = options.endTokens
    this.#row = new Row(options.vocabularySize)
    this.#leaders = new Leaders(this.#row.blocks)
    this.#greedy = sampling.temperature < temperatureMin
    this.#sharpness = this.#greedy ? 1 : 1 / sampling.temperature
    this.#depth = this.#greedy ? 0 : depthNats / this.#sharpness
    this.#support = this.#wholeSupport()
  }

  draw({ logits, position, grammar }: Draw): number {
    const { seed } = this.#sampling
    this.#keys = { firstKey: firstKey(seed, position), secondKey: secondKey(seed, position) }
    this.#row.read(logits, Math.max(this.#depth, this.#leadersDepth))
    this.#support = this.#truncate()
    const token = grammar === undefined ? this.#winner() : this.#winnerOf(grammar)
    if (token < 0) throw new Failure('engine-fault', 'no token is possible: every logit is -Infinity or forbidden')
    return token
  }

  /** The winner inside the support, or -1 where the row has no possible token there. */
  #winner(): number {
    const row = this.#row
    if (this.#greedy) return row.best
    const support = this.#support
    for (;;) {
      const { before, logitMin } = support
      const token = row.winner({ ...this.#keys, sharpness: this.#sharpness, before, logitMin })
      if (token < 0 || this.#sampling.topP >= 1) return token
      const rank = { logit: row.logits[token] ?? 0, token }
      if (this.#isInside(rank)) return token
      support.before = rank
    }
  }

  /** The header of `sampler.ts` says why this draws from the conditional law. */
  #winnerOf(grammar: GrammarMatcher): number {
    const row = this.#row
    for (let refusals = 0; refusals < refusalsMax; refusals++) {
      const token = this.#winner()
      if (token < 0) break
      if (grammar.allows(token)) return token
      if (this.#truncatesByMass()) this.#massTotal()
      this.#support.excluded.push({ logit: row.logits[token] ?? 0, token })
      row.exclude(token)
    }
    this.#support.judge = this.#copyOf(row)
    grammar.mask(row.logits)
    row.read(row.logits, this.#depth)
    const inside = this.#winner()
    if (inside >= 0) return inside
    this.#support = this.#truncate()
    const anywhere = this.#winner()
    return anywhere >= 0 ? anywhere : this.#endOf(grammar)
  }

  /** A finished grammar allows only the end, so it overrides `minTokens` and `ignoreEos`, which had masked it. */
  #endOf(grammar: GrammarMatcher): number {
    return this.#endTokens.find((token) => grammar.allows(token)) ?? -1
  }

  #truncatesByMass(): boolean {
    return !this.#greedy && this.#sampling.topP < 1
  }

  /** The support of top_k and min_p; top_p is tested per winner. */
  #truncate(): Support {
    const support = this.#wholeSupport()
    if (this.#greedy) return support
    const { topK, minP } = this.#sampling
    const row = this.#row
    support.reference = row.logitMax
    if (minP > 0) support.logitMin = row.logitMax + Math.log(minP) / this.#sharpness
    if (topK === 0 || topK >= row.logits.length) return support
    const leaders = this.#leaders.find(row, topK + 1)
    this.#leadersDepth = depthFor(row, leaders)
    const next = leaders[topK]
    if (next !== undefined) support.before = { logit: row.logits[next] ?? 0, token: next }
    return support
  }

  #wholeSupport(): Support {
    return {
      before: endOfRanking,
      logitMin: Number.NEGATIVE_INFINITY,
      reference: 0,
      total: null,
      excluded: [],
      judge: this.#row,
    }
  }

  /** top_p keeps a token when what is ranked before it has less than that part of the total. Most are decided by a lower bound. */
  #isInside(rank: Rank): boolean {
    const { judge, before, total, reference } = this.#support
    const massBefore = this.#massBefore(rank)
    if (massBefore === 0) return true
    if (total === null) {
      const own = Math.exp((rank.logit - reference) * this.#sharpness)
      const totalMin = massBefore + own + judge.massBehindMin(rank, { ...this.#measure(), before })
      if (massBefore < this.#sampling.topP * totalMin * (1 - massError)) return true
    }
    return massBefore < this.#sampling.topP * this.#massTotal()
  }

  #massTotal(): number {
    const support = this.#support
    const { judge, before } = support
    support.total ??=
      before === endOfRanking ? judge.massTotal(this.#measure()) : judge.massBefore(before, this.#measure())
    return support.total
  }

  #massBefore(rank: Rank): number {
    const { judge, excluded, reference } = this.#support
    let mass = judge.massBefore(rank, this.#measure())
    for (const one of excluded) {
      const isBefore = one.logit > rank.logit || (one.logit === rank.logit && one.token < rank.token)
      if (isBefore) mass += Math.exp((one.logit - reference) * this.#sharpness)
    }
    return mass
  }

  #measure(): Measure {
    return { reference: this.#support.reference, sharpness: this.#sharpness, logitMin: this.#support.logitMin }
  }

  /** A mask is about to change the row, but the support is what it was before. */
  #copyOf(row: Row): Row {
    if (!this.#truncatesByMass()) return row
    const copy = new Row(row.logits.length)
    copy.read(row.logits.slice(), this.#depth)
    return copy
  }
}

/** What truncation leaves, as a part of the ranking: tokens before `before` with at least `logitMin`. */
interface Support {
  /** Moves forward when a winner turns out to be outside top_p. */
  before: Rank
  logitMin: number
  /** The logit whose mass is 1. */
  reference: number
  /** Mass of what top_k and min_p leave, once asked for; always before anything was excluded. */
  total: number | null
  /** Refused by the grammar and taken out of the row; they still count as mass. */
  readonly excluded: Rank[]
  /** The row before the grammar masked it. */
  judge: Row
}
