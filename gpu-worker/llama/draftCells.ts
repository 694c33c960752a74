/**
 * Which tokens of which sequence stand in the cells of the draft's context: bookkeeping of one draft model, no native call.
 *
 * The draft follows the target lazily: a sequence gets a place when it first drafts, cells that hold refused drafts are found by
 * comparing tokens, and what is missing is computed before the next draft. Cells of `tokens[0 … computed)`, always.
 */
import assert from 'node:assert/strict'

export interface DraftPlace {
  readonly sequence: number
  /** What its cells hold, in order. */
  readonly tokens: number[]
  /** The first so many are known to be the sequence's own: its tokens only grow, so they are not compared again. */
  confirmed: number
}

export class DraftCells {
  readonly #places = new Map<number, DraftPlace>()
  readonly #free: number[]

  constructor(sequences: number) {
    this.#free = Array.from({ length: sequences }, (_, i) => i)
  }

  /** The place of a sequence; null where all are taken. */
  of(key: number): DraftPlace | null {
    const known = this.#places.get(key)
    if (known !== undefined) return known
    const sequence = this.#free.shift()
    if (sequence === undefined) return null
    const place = { sequence, tokens: [], confirmed: 0 }
    this.#places.set(key, place)
    return place
  }

  /** The place it had, whose cells are to be emptied; null where it had none. */
  forget(key: number): number | null {
    const place = this.#places.get(key)
    if (place === undefined) return null
    this.#places.delete(key)
    this.#free.push(place.sequence)
    // Low ids first: a batch of ids without gaps is computed in one pass.
    this.#free.sort((a, b) => a - b)
    return place.sequence
  }
}

/**
 * How many cells can stay, so that they hold a beginning of `tokens` and at least one token is left to compute: its row is what
 * drafting begins with.
 */
export function keptCells(place: DraftPlace, tokens: readonly number[]): number {
  const most = Math.min(place.tokens.length, tokens.length - 1)
  let kept = Math.min(place.confirmed, most)
  while (kept < most && place.tokens[kept] === tokens[kept]) kept += 1
  assert(kept < tokens.length, 'a sequence without tokens')
  place.confirmed = kept
  return kept
}
