/**
 * The draft of the simulated engine: the target's own greedy continuation, each token right with the chance `acceptance`. Chance comes
 * from the seed alone. Stands for a draft model and costs nothing.
 */
import { chainOf } from '../core/speculation/tokenTree.ts'
import type { Proposal, ProposalRequest, Proposer } from '../core/speculation/proposer.ts'
import { fillWindow } from './cells.ts'
import { uniform } from './faults.ts'
import { createLanguageModel, mix, windowLength } from './languageModel.ts'
import { firstWord } from './vocabulary.ts'

export interface SimulatedProposerOptions {
  readonly seed: number
  /** Chance that a token is what greedy decoding gives. */
  readonly acceptance: number
  /** Tokens it proposes at most, whatever is asked for. */
  readonly draftTokens: number
}

export function createSimulatedProposer(options: SimulatedProposerOptions): Proposer {
  return new SimulatedProposer(options)
}

class SimulatedProposer implements Proposer {
  readonly method = 'simulated'
  readonly #options: SimulatedProposerOptions
  readonly #model
  readonly #nextChance: () => number
  readonly #window = new Int32Array(windowLength)

  constructor(options: SimulatedProposerOptions) {
    this.#options = options
    this.#model = createLanguageModel(options.seed)
    this.#nextChance = uniform(mix(options.seed, 0xd4af))
  }

  propose(requests: readonly ProposalRequest[]): Proposal[] {
    return requests.map(({ key, tokens, tokensMax }) => {
      const drafted = this.#continue(tokens, Math.min(tokensMax, this.#options.draftTokens))
      const confidence = drafted.map(() => this.#options.acceptance)
      return { key, method: this.method, tree: chainOf(drafted), confidence }
    })
  }

  forget(): void {
    // Nothing is kept: each proposal is a function of the tokens shown and of chance.
  }

  #continue(history: readonly number[], count: number): number[] {
    const tokens = history.slice(-windowLength)
    const drafted: number[] = []
    while (drafted.length < count) {
      fillWindow(tokens, tokens.length, this.#window, 0)
      const best = this.#model.best(this.#window, 0)
      const token = this.#nextChance() < this.#options.acceptance ? best : otherWord(best)
      drafted.push(token)
      tokens.push(token)
    }
    return drafted
  }
}

/** Any word but `token`; where that is no word, the first one is always another. */
function otherWord(token: number): number {
  return token === firstWord ? token + 1 : firstWord
}
