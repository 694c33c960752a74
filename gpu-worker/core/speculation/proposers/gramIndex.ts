/**
 * Where the grams (runs of `length` tokens) of one sequence stood: the last place of each, and from each place the one before.
 *
 * Built while the sequence grows, O(1) per token. Holds places, not tokens: whoever asks shows the sequence's tokens again, so a gram
 * is compared and not only its hash, and an answer is never wrong. Memory: 12 to 20 bytes per indexed token.
 */
import assert from 'node:assert/strict'

const slotsMin = 256
/**
 * Slots looked at for one gram. A table at most half full needs about two; a text that was made to collide shall cost time, not
 * a step: what is not found within this is not indexed.
 */
const probesMax = 64

export class GramIndex {
  readonly length: number
  /** Open addressing: 1 + the place (end position) of the gram's last sighting; 0: empty. */
  #slots = new Int32Array(slotsMin)
  /** By place: 1 + the place of the sighting before; 0: none. */
  #previous = new Int32Array(slotsMin)
  #grams = 0

  constructor(length: number) {
    assert(length >= 1, `grams of ${length} tokens`)
    this.length = length
  }

  /** Indexes the gram that ends at `end`; places must ascend. A gram that would begin before the sequence is left out. */
  add(tokens: readonly number[], end: number): void {
    if (end + 1 < this.length) return
    if (end >= this.#previous.length) this.#previous = grown(this.#previous, end + 1)
    const slot = this.#slotOf(tokens, tokens, end)
    if (slot === undefined) return
    const last = this.#slots[slot] ?? 0
    this.#previous[end] = last
    this.#slots[slot] = end + 1
    if (last !== 0) return
    this.#grams += 1
    if (this.#grams * 2 > this.#slots.length) this.#widen(tokens)
  }

  /** Latest place in `tokens` of the gram that ends at `end` of `gram` (which may be `tokens` itself). */
  last(tokens: readonly number[], gram: readonly number[], end: number): number | undefined {
    if (end + 1 < this.length) return undefined
    const slot = this.#slotOf(tokens, gram, end)
    const place = slot === undefined ? 0 : (this.#slots[slot] ?? 0)
    return place === 0 ? undefined : place - 1
  }

  /** The sighting of the same gram before the one at `place`. */
  before(place: number): number | undefined {
    const previous = this.#previous[place] ?? 0
    return previous === 0 ? undefined : previous - 1
  }

  get bytes(): number {
    return this.#slots.byteLength + this.#previous.byteLength
  }

  /** The gram's slot, or the empty one where it belongs. */
  #slotOf(tokens: readonly number[], gram: readonly number[], end: number): number | undefined {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = hashOf(gram, end, this.length) & mask
    for (let probe = 0; probe < probesMax; probe++) {
      const place = slots[slot] ?? 0
      if (place === 0 || this.#isSame(tokens, place - 1, gram, end)) return slot
      slot = (slot + 1) & mask
    }
    return undefined
  }

  #isSame(tokens: readonly number[], place: number, gram: readonly number[], end: number): boolean {
    for (let i = 0; i < this.length; i++) if (tokens[place - i] !== gram[end - i]) return false
    return true
  }

  #widen(tokens: readonly number[]): void {
    const before = this.#slots
    this.#slots = new Int32Array(before.length * 2)
    for (const place of before) {
      const slot = place === 0 ? undefined : this.#slotOf(tokens, tokens, place - 1)
      if (slot !== undefined) this.#slots[slot] = place
    }
  }
}

function hashOf(gram: readonly number[], end: number, length: number): number {
  let hash = length
  for (let i = 0; i < length; i++) {
    hash = Math.imul(hash ^ (gram[end - i] ?? 0), 0x9e37_79b1)
    hash ^= hash >>> 15
  }
  return hash
}

function grown(array: Int32Array<ArrayBuffer>, lengthMin: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(array.length * 2, lengthMin))
  larger.set(array)
  return larger
}
