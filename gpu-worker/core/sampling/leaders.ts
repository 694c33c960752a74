/**
 * The first tokens of a row's ranking, without sorting the vocabulary.
 *
 * Ranking keys are integers below 2^53 (inverted logit bits, then the token id), so a plain numeric sort of a few candidates gives
 * the ranking with its ties.
 */
import { blockTokens } from './noise.ts'
import type { Row } from './row.ts'

const idBits = 21
export const vocabularySizeMax = 2 ** idBits
const idSpan = vocabularySizeMax
const bins = 4_096

/** Rows that follow each other are alike: twice as far as the last of these were behind the best, and the next ones are near (`findNear`). */
export function depthFor(row: Row, leaders: Float64Array): number {
  const last = leaders.at(-1)
  const behind = last === undefined ? 0 : row.logitMax - (row.logits[last] ?? 0)
  return Number.isFinite(behind) ? 2 * behind : 0
}

export class Leaders {
  readonly #tops: Float64Array
  #keys = new Float64Array(64)
  #count = 0
  /** Most samplers never need it. */
  #histogram: Int32Array | null = null
  readonly #float = new Float32Array(1)
  readonly #pattern = new Uint32Array(this.#float.buffer)

  constructor(blocks: number) {
    this.#tops = new Float64Array(blocks)
  }

  /** Ids of the first `wanted` possible tokens (fewer where the row has fewer), best first. The view is valid until the next call. */
  find(row: Row, wanted: number): Float64Array {
    this.#count = 0
    if (this.#isFew(row, wanted)) this.#gatherNear(row, wanted)
    if (this.#count < wanted) this.#gatherAll(row, wanted)
    return this.#ranked(wanted)
  }

  /** The same, but tokens that are further behind the best than the row was read (`Row.read`) may be missing. */
  findNear(row: Row, wanted: number): Float64Array {
    this.#count = 0
    if (this.#isFew(row, wanted)) this.#gatherNear(row, wanted)
    else this.#gatherAll(row, wanted)
    return this.#ranked(wanted)
  }

  /** So few that the blocks they lie in are a small part of the row. */
  #isFew(row: Row, wanted: number): boolean {
    return wanted <= row.blocks / 4
  }

  #gatherNear(row: Row, wanted: number): void {
    const threshold = this.#blockThreshold(row, wanted)
    if (threshold > Number.NEGATIVE_INFINITY) this.#gather(row, threshold)
    else this.#gatherAbove(row, row.exactAbove)
  }

  #gatherAll(row: Row, wanted: number): void {
    this.#count = 0
    this.#gather(row, this.#binThreshold(row, wanted))
  }

  #ranked(wanted: number): Float64Array {
    const keys = this.#keys.subarray(0, this.#count).sort()
    const found = keys.subarray(0, Math.min(wanted, this.#count))
    for (let i = 0; i < found.length; i++) found[i] = (found[i] ?? 0) % idSpan
    return found
  }

  /** The n-th largest known block maximum: at least n tokens reach it, and few others do. -Infinity where fewer are known. */
  #blockThreshold(row: Row, wanted: number): number {
    const tops = this.#tops
    let held = 0
    for (let block = 0; block < row.blocks; block++) {
      const top = row.blockTop[block] ?? 0
      if (held === wanted && top <= (tops[held - 1] ?? 0)) continue
      if (held < wanted) held += 1
      let i = held - 1
      for (; i > 0 && (tops[i - 1] ?? 0) < top; i--) tops[i] = tops[i - 1] ?? 0
      tops[i] = top
    }
    return held === wanted ? (tops[held - 1] ?? 0) : Number.NEGATIVE_INFINITY
  }

  /** For many: the lower edge of the histogram bin in which the n-th token lies. */
  #binThreshold(row: Row, wanted: number): number {
    const { logits, logitMax } = row
    let least = logitMax
    for (const logit of logits) if (logit < least && logit > Number.NEGATIVE_INFINITY) least = logit
    const width = (logitMax - least) / bins
    if (width === 0) return least
    const histogram = (this.#histogram ??= new Int32Array(bins + 1)).fill(0)
    for (const logit of logits) {
      if (logit === Number.NEGATIVE_INFINITY) continue
      const bin = Math.min(bins, Math.floor((logitMax - logit) / width))
      histogram[bin] = (histogram[bin] ?? 0) + 1
    }
    let total = 0
    for (let bin = 0; bin < bins; bin++) {
      total += histogram[bin] ?? 0
      // One bin more: rounding may have put a token one bin too high.
      if (total >= wanted) return logitMax - (bin + 2) * width
    }
    return least
  }

  #gather(row: Row, threshold: number): void {
    const { logits } = row
    for (let block = 0; block < row.blocks; block++) {
      if ((row.blockMax[block] ?? 0) < threshold) continue
      const end = Math.min((block + 1) * blockTokens, logits.length)
      for (let i = block * blockTokens; i < end; i++) {
        const logit = logits[i] ?? 0
        if (logit >= threshold && logit > Number.NEGATIVE_INFINITY) this.#push(logit, i)
      }
    }
  }

  #gatherAbove(row: Row, level: number): void {
    const { logits } = row
    for (let block = 0; block < row.blocks; block++) {
      if (!((row.blockTop[block] ?? 0) > level)) continue
      const end = Math.min((block + 1) * blockTokens, logits.length)
      for (let i = block * blockTokens; i < end; i++) {
        const logit = logits[i] ?? 0
        if (logit > level) this.#push(logit, i)
      }
    }
  }

  #push(logit: number, token: number): void {
    if (this.#count === this.#keys.length) {
      const wider = new Float64Array(2 * this.#count)
      wider.set(this.#keys)
      this.#keys = wider
    }
    this.#keys[this.#count] = this.#inverted(logit) * idSpan + token
    this.#count += 1
  }

  /** Orders as the logit does, reversed: 0 for the largest float. Adding 0 turns -0 into +0, which must tie. */
  #inverted(logit: number): number {
    this.#float[0] = logit + 0
    const pattern = this.#pattern[0] ?? 0
    return pattern >= 0x8000_0000 ? pattern : 0x7fff_ffff - pattern
  }
}
