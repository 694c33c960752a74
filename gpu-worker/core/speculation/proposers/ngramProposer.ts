/**
 * Proposes what followed the last time the same words were written: prompt lookup for many sequences. Where a text came along that the
 * answer may repeat it looks there too (`hintLookup.ts`), and proposes what it is surer of.
 *
 * Keeps one index per sequence and nothing that two sequences share. Costs no model call; a proposal is a chain.
 */
import { limits } from '#contracts/limits.ts'
import type { Proposal, ProposalRequest, Proposer } from '../proposer.ts'
import { chainOf, emptyTree } from '../tokenTree.ts'
import { type HintedDraft, HintLookup } from './hintLookup.ts'
import { continuation, type LookupOptions, lookupDefaults, PromptLookup } from './promptLookup.ts'
import { SequenceStore } from './sequenceStore.ts'

export class NgramProposer implements Proposer {
  readonly method = 'ngram'
  readonly #lookups: SequenceStore<PromptLookup>
  readonly #hints = new SequenceStore(limits.speculation.sequencesMax, () => new HintLookup())

  constructor(options: LookupOptions = lookupDefaults) {
    this.#lookups = new SequenceStore(limits.speculation.sequencesMax, () => new PromptLookup(options))
  }

  propose(requests: readonly ProposalRequest[]): Proposal[] {
    return requests.map((request) => this.#proposalFor(request))
  }

  forget(key: number): void {
    this.#lookups.forget(key)
    this.#hints.forget(key)
  }

  get sequences(): number {
    return this.#lookups.size
  }

  #proposalFor(request: ProposalRequest): Proposal {
    const { key } = request
    const found = this.#repeated(request)
    const hinted = this.#hinted(request)
    const isHintBetter = (hinted?.confidence[0] ?? 0) > (found?.confidence[0] ?? 0)
    const { tokens, confidence } = (isHintBetter ? hinted : found) ?? nothing
    return { key, method: 'ngram', tree: tokens.length === 0 ? emptyTree : chainOf([...tokens]), confidence }
  }

  #repeated({ key, tokens, tokensMax, depthMax }: ProposalRequest): HintedDraft | null {
    const lookup = this.#lookups.of(key, tokens)
    lookup.catchUp(tokens)
    const match = lookup.match(tokens)
    if (match === undefined) return null
    const proposed = continuation(tokens, match, Math.min(tokensMax, depthMax))
    return { tokens: proposed, confidence: proposed.map((_, i) => lookup.confidence(match.length + i)) }
  }

  #hinted({ key, tokens, tokensMax, depthMax, hint }: ProposalRequest): HintedDraft | null {
    if (hint === undefined) return null
    const lookup = this.#hints.of(key, tokens)
    lookup.catchUp(tokens, hint)
    return lookup.draft(hint, Math.min(tokensMax, depthMax))
  }
}

const nothing: HintedDraft = { tokens: [], confidence: [] }
