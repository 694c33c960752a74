/**
 * Prompt lookup for one sequence: where did the text stand before as it ends now, and what followed there?
 *
 * The longest gram is tried first; among the latest places that hold it, the one that agrees with the present furthest back wins.
 * A match that reaches the end of the text goes on into itself: what repeats with a period is continued with that period.
 * Catches up by itself from the tokens it is shown, O(1) per token, and on the way counts how often each length of match told the
 * next token: that is its confidence. Tokens only grow; where they do not, it begins again.
 */
import { limits } from '#contracts/limits.ts'
import { GramIndex } from './gramIndex.ts'
import { HitRates } from './hitRates.ts'

export interface LookupOptions {
  /** Lengths of the grams that are looked up, the longest first; a match agrees in at least the last of them. */
  readonly grams: readonly number[]
  /** Places compared for one query. */
  readonly placesMax: number
}

/**
 * Measured by `test/bench/proposers.ts` (32 greedy answers of the default model, chains of 8), tokens per target call on chat,
 * summaries, code edits and copies: grams of 2 alone with the latest place 1.32, 1.85, 2.11, 4.60; the best of 8 places 1.32, 1.86, 2.17,
 * 4.87, as good as grams of 4, 3 and 2; grams of 3 and more 1.25, 1.70, 1.93, 4.37. Those are more precise (0.54 against 0.43 of
 * the drafted tokens hold in code edits), but a short match says by its confidence what it is worth, so it costs nothing to know it.
 * Grams of 4 find an agreement further back than the latest 8 places of a common pair of words.
 */
export const lookupDefaults: LookupOptions = { grams: [4, 2], placesMax: 8 }

export interface Match {
  /** Place of the token that matches the last one; what followed it is proposed. */
  readonly end: number
  /** Tokens that agree, counted backwards; `agreementMax` stands for "at least". */
  readonly length: number
}

/** Longer agreement says nothing more. */
export const agreementMax = 32

export class PromptLookup {
  readonly #placesMax: number
  readonly #indexes: readonly GramIndex[]
  readonly #rates = new HitRates(ratePriors)
  /** Tokens seen: of each but the last, the grams that end there are indexed. */
  #seen = 0
  #end = 0
  #length = 0

  constructor(options: LookupOptions = lookupDefaults) {
    this.#placesMax = options.placesMax
    this.#indexes = options.grams.map((length) => new GramIndex(length))
  }

  /** False where the text was changed or cut: then a new lookup must be made. */
  follows(tokens: readonly number[]): boolean {
    return tokens.length >= this.#seen
  }

  /** What is shown first is the prompt: it is indexed, but how often it repeats itself says little about the answer. */
  catchUp(tokens: readonly number[]): void {
    const learnsFrom = this.#seen === 0 ? tokens.length : this.#seen
    for (let next = Math.max(1, this.#seen); next < tokens.length; next++) {
      if (next >= learnsFrom && this.#seek(tokens, next - 1))
        this.#rates.learn(rateClassOf(this.#length), tokens[this.#end + 1] === tokens[next])
      if (next <= limits.speculation.indexedTokensMax) for (const index of this.#indexes) index.add(tokens, next - 1)
    }
    this.#seen = tokens.length
  }

  /** Best place for the end of `tokens`; call after `catchUp`. */
  match(tokens: readonly number[]): Match | undefined {
    return this.#seek(tokens, tokens.length - 1) ? { end: this.#end, length: this.#length } : undefined
  }

  /** Rate at which the target took the token behind an agreement of this many tokens. */
  confidence(agreement: number): number {
    return this.#rates.of(rateClassOf(agreement))
  }

  get bytes(): number {
    return this.#indexes.reduce((sum, index) => sum + index.bytes, 0)
  }

  /** Finds the match of the text up to `last` and leaves it in `#end` and `#length`: this runs once per token and makes nothing. */
  #seek(tokens: readonly number[], last: number): boolean {
    for (const index of this.#indexes) {
      this.#length = 0
      let place = index.last(tokens, tokens, last)
      for (let i = 0; i < this.#placesMax && place !== undefined; i++) {
        const length = agreementAt(tokens, place, last)
        if (length > this.#length) {
          this.#end = place
          this.#length = length
        }
        if (length >= agreementMax) return true
        place = index.before(place)
      }
      if (this.#length > 0) return true
    }
    return false
  }
}

/** The continuation of a match, token by token; behind the end of the text it reads what it has proposed itself. */
export function continuation(tokens: readonly number[], match: Match, count: number): number[] {
  const period = tokens.length - 1 - match.end
  const proposed: number[] = []
  for (let i = 0; i < count; i++) proposed.push((i < period ? tokens[match.end + 1 + i] : proposed[i - period]) ?? 0)
  return proposed
}

function agreementAt(tokens: readonly number[], place: number, last: number): number {
  let length = 0
  while (length < agreementMax && place >= length && tokens[place - length] === tokens[last - length]) length += 1
  return length
}

/**
 * Of an agreement of 1, 2, 3, 4, 5–6, 7–10, 11–18, 19 and more tokens: measured as above, and nearly the same for all four kinds of
 * text (agreement of 4: 0.74, 0.80, 0.67, 0.81; of 11–18: 0.87, 0.87, 0.93, 1.00), so a sequence need not learn them anew.
 */
const ratePriors = [0.3, 0.5, 0.6, 0.74, 0.8, 0.87, 0.92, 0.97]

function rateClassOf(length: number): number {
  if (length <= 4) return Math.max(0, length - 1)
  if (length <= 6) return 4
  if (length <= 10) return 5
  return length <= 18 ? 6 : 7
}
