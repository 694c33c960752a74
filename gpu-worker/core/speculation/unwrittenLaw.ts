/**
 * A law over a vocabulary that is known by the border of its truncation and its normaliser alone, until somebody needs all of it. A judge asks for the
 * probabilities of a few tokens, and, once it has refused them, for one draw outside of them: both read the row itself.
 *
 * Valid until the row changes or is read anew.
 */
import { decay64, decayScale } from '../sampling/exponential.ts'
import { blockTokens } from '../sampling/noise.ts'
import type { Measure, Rank, Row } from '../sampling/row.ts'
import type { Law } from './law.ts'

/** What truncation by mass leaves: the ranking up to `last`, and its mass. */
export interface Kept {
  readonly last: Rank
  readonly mass: number
}

export interface UnwrittenLawOptions {
  readonly row: Row
  readonly measure: Measure
  readonly kept: Kept
  /** Of each block, where truncation takes none of it: a draw passes over whole blocks then. */
  readonly masses: Float64Array | null
  readonly write: () => Law
}

export const massOf = (logit: number, { reference, sharpness }: Measure) =>
  decay64((reference - logit) * sharpness * decayScale)

const nothing = new Float64Array(0)

export class UnwrittenLaw implements Law {
  readonly #row: Row
  readonly #measure: Measure
  readonly #kept: Kept
  readonly #masses: Float64Array | null
  readonly #logitMin: number
  readonly #write: () => Law
  #written: Law | null = null

  constructor({ row, measure, kept, masses, write }: UnwrittenLawOptions) {
    this.#row = row
    this.#measure = measure
    this.#kept = kept
    this.#masses = masses
    this.#logitMin = Math.max(measure.logitMin, kept.last.logit)
    this.#write = write
  }

  at(token: number): number {
    return this.#massOf(token) / this.#kept.mass
  }

  tokenOutside(inside: Int32Array, point: number): number {
    const { blocks, blockMax } = this.#row
    let left = point * this.#kept.mass
    let hole = 0
    for (let block = 0; block < blocks; block++) {
      if ((blockMax[block] ?? 0) < this.#logitMin) continue
      const [begin, end] = this.#tokensOf(block)
      while (hole < inside.length && (inside[hole] ?? 0) < begin) hole += 1
      const hasHole = hole < inside.length && (inside[hole] ?? 0) < end
      const mass = this.#masses?.[block]
      if (mass !== undefined && !hasHole && left >= mass) {
        left -= mass
        continue
      }
      for (let token = begin; token < end; token++) {
        while (hole < inside.length && (inside[hole] ?? 0) < token) hole += 1
        if (inside[hole] === token) continue
        left -= this.#massOf(token)
        if (left < 0) return token
      }
    }
    return this.#lastOutside(inside)
  }

  /** Where rounding has gone beyond the end. */
  #lastOutside(inside: Int32Array): number {
    const holes = new Set(inside)
    for (let token = this.#row.logits.length - 1; token >= 0; token--)
      if (this.#massOf(token) > 0 && !holes.has(token)) return token
    throw new RangeError(`no token is outside of ${inside.length}`)
  }

  #tokensOf(block: number): [begin: number, end: number] {
    const begin = block * blockTokens
    return [begin, Math.min(begin + blockTokens, this.#row.logits.length)]
  }

  #massOf(token: number): number {
    const { last } = this.#kept
    const logit = this.#row.logits[token] ?? Number.NEGATIVE_INFINITY
    const isBehind = logit < this.#logitMin || (logit === last.logit && token > last.token)
    return isBehind ? 0 : massOf(logit, this.#measure)
  }

  get written(): Law {
    return (this.#written ??= this.#write())
  }

  get tokens(): Int32Array {
    return this.written.tokens
  }

  get weights(): Float64Array {
    return this.written.weights
  }

  get blocks(): Float64Array {
    return this.written.blocks ?? nothing
  }
}
