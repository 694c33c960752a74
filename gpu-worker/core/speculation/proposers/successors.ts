/**
 * What may follow two tokens: the base table's successors and what this sequence itself has shown, merged, heaviest first.
 *
 * The adaptive part is no second table: a bigram's places in the sequence are walked, and each sighting of a token behind it adds the
 * bonus to that token's weight, up to the cap. So nothing is written anywhere that another sequence could read, a token that the
 * base table never saw behind these two is proposed all the same, and forgetting a sequence forgets everything.
 */
import { limits } from '#contracts/limits.ts'
import type { GramIndex } from './gramIndex.ts'
import type { TrigramTable } from './trigramTable.ts'

export interface AdaptiveOptions {
  /** Added to a tri-gram's weight for each sighting in the sequence. */
  readonly bonus: number
  /** A weight does not grow over this. */
  readonly cap: number
  /** Latest sightings of a bigram that are walked. */
  readonly sightingsMax: number
}

/** The text of a sequence, with the places of its bigrams (`GramIndex(2)`). */
export interface Sighted {
  readonly tokens: readonly number[]
  readonly bigrams: GramIndex
}

const shareEnds = [0.1, 0.2, 0.35, 0.5, 0.7, 0.9]
/** Never, once, two or three times, oftener sighted; and a class of share. */
export const successorKinds = 4 * (shareEnds.length + 1)

/** Read after `read`, overwritten by the next one: a search asks hundreds of times and must not make anything. */
export class Successors {
  /** Heaviest first; at equal weight the base table's, then the one sighted last, comes first. */
  readonly tokens = new Int32Array(2 * limits.speculation.successorsMax)
  readonly weights = new Float64Array(2 * limits.speculation.successorsMax)
  /** How often the sequence has shown this successor. */
  readonly sightings = new Uint16Array(2 * limits.speculation.successorsMax)
  count = 0
  /** Of the weights. */
  total = 0
  readonly #table: TrigramTable | null
  readonly #options: AdaptiveOptions
  readonly #bigram = [0, 0]

  constructor(table: TrigramTable | null, options: AdaptiveOptions) {
    this.#table = table
    this.#options = options
  }

  read(sighted: Sighted | null, first: number, second: number): void {
    this.count = 0
    if (this.#table !== null) this.#readTable(this.#table, first, second)
    if (sighted !== null) {
      this.#addSightings(sighted, first, second)
      this.#sort()
      this.count = Math.min(this.count, limits.speculation.successorsMax)
    }
    this.total = 0
    for (let i = 0; i < this.count; i++) this.total += this.weights[i] ?? 0
  }

  /** A number below `successorKinds` for what speaks for successor i: how often it was sighted, and its share of all the weight. */
  kindOf(i: number): number {
    const share = (this.weights[i] ?? 0) / this.total
    let shareClass = 0
    while (shareClass < shareEnds.length && share >= (shareEnds[shareClass] ?? 1)) shareClass += 1
    const sightings = this.sightings[i] ?? 0
    const sightingClass = sightings <= 1 ? sightings : sightings <= 3 ? 2 : 3
    return sightingClass * (shareEnds.length + 1) + shareClass
  }

  #readTable(table: TrigramTable, first: number, second: number): void {
    const bigram = table.find(first, second)
    if (bigram === undefined) return
    const to = table.offsets[bigram + 1] ?? 0
    for (let i = table.offsets[bigram] ?? 0; i < to; i++) {
      this.tokens[this.count] = table.successors[i] ?? 0
      this.weights[this.count] = table.weights[i] ?? 0
      this.sightings[this.count] = 0
      this.count += 1
    }
  }

  #addSightings({ tokens, bigrams }: Sighted, first: number, second: number): void {
    this.#bigram[0] = first
    this.#bigram[1] = second
    let place = bigrams.last(tokens, this.#bigram, 1)
    for (let i = 0; i < this.#options.sightingsMax && place !== undefined; i++) {
      this.#addSighting(tokens[place + 1] ?? 0)
      place = bigrams.before(place)
    }
  }

  #addSighting(token: number): void {
    const { bonus, cap } = this.#options
    const known = this.tokens.indexOf(token)
    if (known >= 0 && known < this.count) {
      this.weights[known] = Math.min(cap, (this.weights[known] ?? 0) + bonus)
      this.sightings[known] = (this.sightings[known] ?? 0) + 1
    } else if (this.count < this.tokens.length) {
      this.tokens[this.count] = token
      this.weights[this.count] = bonus
      this.sightings[this.count] = 1
      this.count += 1
    }
  }

  /** By insertion: a handful of entries, nearly in order. */
  #sort(): void {
    for (let i = 1; i < this.count; i++) {
      const token = this.tokens[i] ?? 0
      const weight = this.weights[i] ?? 0
      const sightings = this.sightings[i] ?? 0
      let at = i
      for (; at > 0 && (this.weights[at - 1] ?? 0) < weight; at--) {
        this.tokens[at] = this.tokens[at - 1] ?? 0
        this.weights[at] = this.weights[at - 1] ?? 0
        this.sightings[at] = this.sightings[at - 1] ?? 0
      }
      this.tokens[at] = token
      this.weights[at] = weight
      this.sightings[at] = sightings
    }
  }
}
