/**
 * What is left to give of the target's law at one node, after drafts have been offered and rejected.
 *
 * Verifiers change p only where drafts can lie, so p is copied on their support and the rest of the vocabulary stays one lump of
 * known mass: a rejection costs as much as the draft's support has tokens, whatever the vocabulary. Only a draw that ends in the
 * lump walks through p.
 */
import type { Chance } from './chance.ts'
import { type Law, placeOf, probabilityOf } from './law.ts'

/** More than what sums of a vocabulary's probabilities are wrong by. */
const roundingMax = 1e-9

export class Remainder {
  readonly #target: Law
  readonly #tokens: Int32Array
  /** Not normalised; their sum is `#inside`, that of all other tokens `#outside`. */
  readonly #values: Float64Array
  #inside: number
  readonly #outside: number

  /** `support`: ascending, covers whatever will be taken away. */
  constructor(target: Law, support: Int32Array) {
    this.#target = target
    this.#tokens = support
    this.#values = new Float64Array(support.length)
    let inside = 0
    let covered = 0
    for (let i = 0; i < support.length; i++) {
      const p = probabilityOf(target, support[i] ?? 0)
      this.#values[i] = p
      inside += p
      if (p > 0) covered += 1
    }
    // Where it is small it is counted, not subtracted: a lump of 1e-17 that is nothing but rounding must not be drawn from.
    const outside = Math.max(0, 1 - inside)
    this.#outside = outside > roundingMax || covered < target.tokens.length ? outside : 0
    this.#inside = inside
  }

  get #mass(): number {
    return this.#inside + this.#outside
  }

  probabilityOf(token: number): number {
    const place = placeOf(this.#tokens, token)
    return place < 0 ? 0 : (this.#values[place] ?? 0) / this.#mass
  }

  /** R := norm((R - law)+). */
  takeAway(law: Law): void {
    const scale = this.#mass
    this.reduce((_, token) => probabilityOf(law, token) * scale)
  }

  /**
   * R := norm((R - given)+), where `given` is in units of the mass that was left before. Where that leaves nothing, a draft that is
   * accepted for certain was rejected, which only rounding can do: then R stays as it is.
   */
  reduce(given: (value: number, token: number) => number): void {
    const values = this.#values.map((value, i) => Math.max(0, value - given(value, this.#tokens[i] ?? 0)))
    let inside = 0
    for (const value of values) inside += value
    if (!(inside + this.#outside > 0)) return
    this.#values.set(values)
    this.#inside = inside
  }

  draw(chance: Chance): number {
    const isInside = this.#outside === 0 || chance.happens(this.#inside / this.#mass)
    return isInside
      ? chance.draw({ tokens: this.#tokens, weights: this.#values.map((value) => value / this.#inside) })
      : chance.drawOutside(this.#target, this.#tokens, this.#outside)
  }
}
