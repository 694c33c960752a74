/**
 * How often predictions of one kind came true in one sequence: a decaying count per class of prediction, over a prior.
 *
 * The prior answers until the sequence has said something itself. Only text that is already written is counted, so a rate never
 * knows anything about the tokens it is used for.
 */

/** A sequence's own evidence fades with this memory: what was true 64 predictions ago says little about now. */
const memory = 64
/** The prior weighs as much as so many predictions of the sequence. */
const priorWeight = 6

export class HitRates {
  readonly #priors: readonly number[]
  readonly #hits: Float64Array
  readonly #trials: Float64Array

  constructor(priors: readonly number[]) {
    this.#priors = priors
    this.#hits = new Float64Array(priors.length)
    this.#trials = new Float64Array(priors.length)
  }

  learn(kind: number, isHit: boolean): void {
    const keep = 1 - 1 / memory
    this.#hits[kind] = (this.#hits[kind] ?? 0) * keep + (isHit ? 1 : 0)
    this.#trials[kind] = (this.#trials[kind] ?? 0) * keep + 1
  }

  of(kind: number): number {
    const hits = (this.#hits[kind] ?? 0) + priorWeight * (this.#priors[kind] ?? 0)
    return hits / ((this.#trials[kind] ?? 0) + priorWeight)
  }
}
