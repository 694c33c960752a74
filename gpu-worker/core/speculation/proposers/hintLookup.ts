/**
 * Drafts from a text that the answer may repeat: another model's answer to the same question, tokenised for this one.
 *
 * Follows the hint with a finger. While the answer says what the hint says the finger goes on, and the longer it has, the surer it is.
 * Where the answer says something else the finger steps over one token (a word was replaced), and where that does not fit either it looks
 * for the place that agrees with the answer's last tokens furthest back, of equals for the first one behind the finger: answers rarely go
 * back. Before the first token it stands at the beginning.
 * Catches up by itself from the tokens it is shown, O(1) per token, and counts on the way how often each run told the next token: that is
 * its confidence. A wrong hint costs what a wrong draft costs; it never changes a token.
 */
import { GramIndex } from './gramIndex.ts'
import { HitRates } from './hitRates.ts'

export interface Hint {
  readonly tokens: readonly number[]
  /** The answer begins at this token of the sequence. */
  readonly after: number
}

export interface HintedDraft {
  readonly tokens: readonly number[]
  readonly confidence: readonly number[]
}

/** Tokens that must agree for the finger to be put down anew. */
const gramLength = 2
/** Places compared when it is. */
const placesMax = 8
/** Longer agreement says nothing more. */
const agreementMax = 32

export class HintLookup {
  readonly #grams = new GramIndex(gramLength)
  readonly #rates = new HitRates(ratePriors)
  #indexed = 0
  /** Tokens of the sequence that are behind us; before the answer there is nothing to follow. */
  #seen = 0
  /** Next token of the hint; where it is lost, the one that was expected last. */
  #finger = 0
  #isLost = false
  /** Tokens that agreed since the finger was put down. */
  #run = 0
  /** The token before was not what the finger said, and it was only moved on. */
  #stepped = false

  follows(tokens: readonly number[]): boolean {
    return tokens.length >= this.#seen
  }

  catchUp(tokens: readonly number[], hint: Hint): void {
    this.#index(hint.tokens)
    for (let next = Math.max(this.#seen, hint.after); next < tokens.length; next++) this.#follow(tokens, next, hint)
    this.#seen = tokens.length
  }

  /** Call after `catchUp`; null: the hint says nothing here. */
  draft(hint: Hint, count: number): HintedDraft | null {
    const from = this.#finger
    if (this.#isLost || from >= hint.tokens.length) return null
    const tokens = hint.tokens.slice(from, from + count)
    return { tokens, confidence: tokens.map((_, i) => this.#rates.of(this.#classOf(i))) }
  }

  #index(hint: readonly number[]): void {
    for (; this.#indexed < hint.length; this.#indexed++) this.#grams.add(hint, this.#indexed)
  }

  #follow(tokens: readonly number[], next: number, hint: Hint): void {
    const at = this.#finger
    if (!this.#isLost && at < hint.tokens.length) {
      const isHit = hint.tokens[at] === tokens[next]
      this.#rates.learn(this.#classOf(0), isHit)
      if (isHit) {
        this.#finger = at + 1
        this.#run += 1
        this.#stepped = false
        return
      }
    }
    this.#seek(tokens, next, hint)
  }

  #seek(tokens: readonly number[], last: number, hint: Hint): void {
    const found = this.#placeOf(tokens, last, hint)
    const mayStep = found === null && !this.#isLost && !this.#stepped
    if (found !== null) this.#finger = found
    else if (mayStep) this.#finger += 1
    this.#isLost = found === null && !mayStep
    this.#run = found === null ? 0 : gramLength
    this.#stepped = mayStep
  }

  /** Where the hint goes on as the answer ends at `last`; of several places the one that agrees furthest back. */
  #placeOf(tokens: readonly number[], last: number, hint: Hint): number | null {
    if (last - hint.after + 1 < gramLength) return null
    let best: { end: number; length: number } | null = null
    let end = this.#grams.last(hint.tokens, tokens, last)
    for (let i = 0; i < placesMax && end !== undefined; i++) {
      const length = agreementAt({ tokens, last, from: hint.after }, hint.tokens, end)
      // Places come from the back to the front: of equals behind the finger the nearest is the last one seen.
      const isNearer = best !== null && length === best.length && end >= this.#finger
      if (best === null || length > best.length || isNearer) best = { end, length }
      end = this.#grams.before(end)
    }
    return best === null ? null : best.end + 1
  }

  /** Of the token `ahead` places before the finger. */
  #classOf(ahead: number): number {
    if (this.#stepped) return ahead === 0 ? steppedClass : 0
    const run = this.#run + ahead
    if (run <= 2) return run
    if (run <= 4) return 3
    if (run <= 8) return 4
    return run <= 16 ? 5 : 6
  }
}

/**
 * After a run of 0, 1, 2, 3–4, 5–8, 9–16 and more tokens; and behind a token that was stepped over. Models that answer one question often
 * begin alike and go on alike once they did, so this begins above what prompt lookup does with as long an agreement.
 */
const ratePriors = [0.5, 0.6, 0.65, 0.75, 0.8, 0.87, 0.93, 0.35]
const steppedClass = 7

function agreementAt(
  answer: { readonly tokens: readonly number[]; readonly last: number; readonly from: number },
  hint: readonly number[],
  end: number,
): number {
  const { tokens, last, from } = answer
  const most = Math.min(agreementMax, end + 1, last - from + 1)
  let length = 0
  while (length < most && hint[end - length] === tokens[last - length]) length += 1
  return length
}
