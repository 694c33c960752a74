/**
 * What one sequence has taught the tri-gram proposer: where its bigrams stood, and how often the table's guesses came true.
 *
 * Catches up by itself from the tokens it is shown. Never read for another sequence.
 */
import assert from 'node:assert/strict'
import { limits } from '#contracts/limits.ts'
import { GramIndex } from './gramIndex.ts'
import { HitRates } from './hitRates.ts'
import { type Sighted, successorKinds, type Successors } from './successors.ts'

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

  /** Rate at which the target took successors of which as much spoke as for this one (`Successors.kindOf`). */
  confidence(kind: number): number {
    return this.#rates.of(kind)
  }

  get bytes(): number {
    return this.#bigrams.bytes
  }

  #learn(sighted: Sighted, next: number, successors: Successors): void {
    const { tokens } = sighted
    successors.read(sighted, tokens[next - 2] ?? 0, tokens[next - 1] ?? 0)
    for (let rank = 0; rank < Math.min(ranksLearned, successors.count); rank++) {
      this.#rates.learn(successors.kindOf(rank), successors.tokens[rank] === tokens[next])
    }
  }
}

/**
 * For no, one, two or three, and more sightings: by share of the weight (under 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, and more). Measured by
 * `test/bench/proposers.ts` on 32 answers with a table of 40,000 tokens that the model wrote itself.
 */
const ratePriors = [
  [0.01, 0.04, 0.06, 0.06, 0.18, 0.2, 0.3],
  [0.03, 0.18, 0.4, 0.6, 0.42, 0.7, 0.78],
  [0.1, 0.1, 0.28, 0.6, 0.45, 0.9, 0.95],
  [0.1, 0.2, 0.4, 0.65, 0.8, 0.95, 0.98],
]
assert.equal(ratePriors.flat().length, successorKinds)
