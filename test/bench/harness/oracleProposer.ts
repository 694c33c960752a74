/**
 * Synthetic acceptance for a real engine: a proposer that knows what the target will write, because the target has written it before, and
 * spoils each token with a given chance. What llama-server has as `--spec-synth-*`.
 *
 * The text must be the target's own for the same prompt and settings (greedy, or the same seed), or acceptance is lower than what is set.
 */
import type { Proposal, ProposalRequest } from '../../../gpu-worker/core/speculation/proposer.ts'
import type { Proposer } from '../../../gpu-worker/proposer.ts'
import { chainOf } from '../../../gpu-worker/core/speculation/tokenTree.ts'
import { seeded } from './random.ts'

export interface OracleOptions {
  /** Whole texts: prompt and answer, as tokens. */
  readonly texts: readonly (readonly number[])[]
  /** The chance that a token is right once those before it are, by position; the last holds for all further ones. */
  readonly rates: readonly number[]
  readonly vocabularySize: number
  readonly seed: number
  /** Resolves after what drafting so many tokens for so many sequences is to take; absent: free. */
  readonly spend?: (round: { readonly sequences: number; readonly depth: number }) => Promise<void>
}

export function createOracleProposer(options: OracleOptions): Proposer {
  return new OracleProposer(options)
}

class OracleProposer implements Proposer {
  readonly method = 'simulated'
  readonly #options: OracleOptions
  readonly #next: () => number
  /** The text that each sequence is writing, found once. */
  readonly #texts = new Map<number, readonly number[]>()

  constructor(options: OracleOptions) {
    this.#options = options
    this.#next = seeded(options.seed)
  }

  propose(requests: readonly ProposalRequest[]): Proposal[] | Promise<Proposal[]> {
    const proposals = requests.map((request) => this.#proposalFor(request))
    const depth = Math.max(0, ...proposals.map(({ tree }) => tree.tokens.length))
    const { spend } = this.#options
    if (spend === undefined || depth === 0) return proposals
    return spend({ sequences: requests.length, depth }).then(() => proposals)
  }

  forget(key: number): void {
    this.#texts.delete(key)
  }

  #proposalFor({ key, tokens, tokensMax }: ProposalRequest): Proposal {
    const text = this.#textOf(key, tokens)
    const coming = text.slice(tokens.length, tokens.length + tokensMax)
    const drafted = coming.map((token, i) => (this.#next() < this.#rateAt(i) ? token : this.#other(token)))
    const { rates } = this.#options
    return { key, method: this.method, tree: chainOf(drafted), confidence: drafted.map(() => rates[0] ?? 0) }
  }

  #textOf(key: number, tokens: readonly number[]): readonly number[] {
    const known = this.#texts.get(key)
    if (known !== undefined) return known
    const text = this.#options.texts.find((candidate) => tokens.every((token, i) => token === candidate[i])) ?? []
    this.#texts.set(key, text)
    return text
  }

  #rateAt(position: number): number {
    const { rates } = this.#options
    return rates[position] ?? rates.at(-1) ?? 0
  }

  #other(token: number): number {
    return (token + 1) % this.#options.vocabularySize
  }
}
