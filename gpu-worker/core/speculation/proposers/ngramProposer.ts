/**
 * Proposes what followed the last time the same words were written: prompt lookup for many sequences.
 *
 * Keeps one index per sequence and nothing that two sequences share. Costs no model call; a proposal is a chain.
 */
import { limits } from '#contracts/limits.ts'
import type { Proposal, ProposalRequest, Proposer } from '../proposer.ts'
import { chainOf, emptyTree } from '../tokenTree.ts'
import { continuation, type LookupOptions, lookupDefaults, PromptLookup } from './promptLookup.ts'
import { SequenceStore } from './sequenceStore.ts'

export class NgramProposer implements Proposer {
  readonly method = 'ngram'
  readonly #lookups: SequenceStore<PromptLookup>

  constructor(options: LookupOptions = lookupDefaults) {
    this.#lookups = new SequenceStore(limits.speculation.sequencesMax, () => new PromptLookup(options))
  }

  propose(requests: readonly ProposalRequest[]): Proposal[] {
    return requests.map((request) => this.#proposalFor(request))
  }

  forget(key: number): void {
    this.#lookups.forget(key)
  }

  get sequences(): number {
    return this.#lookups.size
  }

  #proposalFor({ key, tokens, tokensMax, depthMax }: ProposalRequest): Proposal {
    const lookup = this.#lookups.of(key, tokens)
    lookup.catchUp(tokens)
    const match = lookup.match(tokens)
    if (match === undefined) return { key, method: 'ngram', tree: emptyTree, confidence: [] }
    const proposed = continuation(tokens, match, Math.min(tokensMax, depthMax))
    const confidence = proposed.map((_, i) => lookup.confidence(match.length + i))
    return { key, method: 'ngram', tree: chainOf(proposed), confidence }
  }
}
