/**
 * What proposing takes, by method: milliseconds for each further token of depth (a draft model computes them one after the other, for all
 * sequences at once), by the number of sequences asked for. Free until measured, so that everything is tried once.
 */
import type { ProposerMethod } from './proposer.ts'

const followRate = 0.2
const ratioMax = 3

export class DraftCost {
  /** Per method: milliseconds per depth, by band of sequences (1, 2, 3–4, 5–8, …). */
  readonly #levels = new Map<ProposerMethod, Map<number, number>>()

  predictMs(method: ProposerMethod, round: { readonly sequences: number; readonly depth: number }): number {
    if (round.sequences === 0 || round.depth === 0) return 0
    return round.depth * this.#levelMs(method, bandOf(round.sequences))
  }

  observe(method: ProposerMethod, round: { readonly sequences: number; readonly depth: number }, ms: number): void {
    if (round.sequences === 0 || round.depth === 0 || !(ms >= 0)) return
    const levels = this.#levels.get(method) ?? new Map<number, number>()
    this.#levels.set(method, levels)
    const band = bandOf(round.sequences)
    const before = levels.get(band)
    const levelMs = ms / round.depth
    if (before === undefined) levels.set(band, levelMs)
    else levels.set(band, before + followRate * (Math.min(levelMs, ratioMax * before + 0.001) - before))
  }

  /** A band that was never seen costs what its nearest neighbour does. */
  #levelMs(method: ProposerMethod, band: number): number {
    const levels = this.#levels.get(method)
    if (levels === undefined) return 0
    let nearest = { distance: Number.POSITIVE_INFINITY, ms: 0 }
    for (const [known, ms] of levels) {
      const distance = Math.abs(known - band)
      if (distance < nearest.distance) nearest = { distance, ms }
    }
    return nearest.ms
  }
}

const bandOf = (sequences: number) => Math.ceil(Math.log2(Math.max(1, sequences)))
