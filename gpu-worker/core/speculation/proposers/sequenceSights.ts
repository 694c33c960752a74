/**
 * What one sequence has taught the tri-gram proposer: where its bigrams stood, and how often the table's guesses came true.
 *
 * Catches up by itself from the tokens it is shown. Never read for another sequence.
 */
import { limits } from '#contracts/limits.ts'
import { GramIndex } from './gramIndex.ts'
import { HitRates } from './hitRates.ts'
import type { Sighted, Successors } from './successors.ts'

/** Guesses per token that are counted: the first three ranks are nearly all that is ever drafted. */
const ranksLearned = 3

export class SequenceSights {
  readonly #bigrams = new GramIndex(2)
  readonly #rates = new HitRates(ratePriors.flat())
  /** Tokens seen: of each but the last, the bigram that ends there is indexed. */
  #seen = 0

  follows(tokens: readonly number[]): boolean {
    return tokens.length >= this.#seen
  }

  /** What is shown first is the prompt: its bigrams are indexed, but the guesses are judged by the answer only. */
  catchUp(tokens: readonly number[], successors: Successors): void {
    const learnsFrom = this.#seen === 0 ? tokens.length : this.#seen
    const sighted = this.sighted(tokens)
    for (let next = Math.max(1, this.#seen); next < tokens.length; next++) {
      if (next >= learnsFrom && next >= 2) this.#learn(sighted, next, successors)
      if (next <= limits.speculation.indexedTokensMax) this.#bigrams.add(tokens, next - 1)
    }
    this.#seen = tokens.length
  }

  sighted(tokens: readonly number[]): Sighted {
    return { tokens, bigrams: this.#bigrams }
  }

  /** Rate at which the target took successors of this weight that stood at this place in the order of weights. */
  confidence(weight: number, rank: number): number {
    return this.#rates.of(rateClassOf(weight, rank))
  }

  get bytes(): number {
    return this.#bigrams.bytes
  }

  #learn(sighted: Sighted, next: number, successors: Successors): void {
    const { tokens } = sighted
    successors.read(sighted, tokens[next - 2] ?? 0, tokens[next - 1] ?? 0)
    for (let rank = 0; rank < Math.min(ranksLearned, successors.count); rank++) {
      const isHit = successors.tokens[rank] === tokens[next]
      this.#rates.learn(rateClassOf(successors.weights[rank] ?? 0, rank), isHit)
    }
  }
}

/** Upper ends of the classes of weights; the last class has none. */
const weightClasses = [0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9]
/** The heaviest successor, and all others: by class of weight. */
const ratePriors = [
  [0.1, 0.12, 0.2, 0.25, 0.35, 0.5, 0.65, 0.75],
  [0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.3],
]

function rateClassOf(weight: number, rank: number): number {
  const found = weightClasses.findIndex((end) => weight < end)
  const weightClass = found === -1 ? weightClasses.length : found
  return (rank === 0 ? 0 : weightClasses.length + 1) + weightClass
}
