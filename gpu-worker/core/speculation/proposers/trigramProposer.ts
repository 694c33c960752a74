/**
 * Proposes continuations from a tri-gram table that adapts to each sequence: a tree from the search, or its best path as a chain.
 *
 * The base table is shared and read-only; it may be absent, then only the sequence's own text is known. What a sequence teaches stays
 * with its key. Costs no model call.
 */
import { limits } from '#contracts/limits.ts'
import type { Proposal, ProposalRequest, Proposer } from '../proposer.ts'
import { chainOf, emptyTree, root } from '../tokenTree.ts'
import { SequenceSights } from './sequenceSights.ts'
import { SequenceStore } from './sequenceStore.ts'
import { type AdaptiveOptions, type Sighted, Successors } from './successors.ts'
import type { TrigramTable } from './trigramTable.ts'
import { type SearchOptions, searchDefaults, TrigramSearch } from './trigramSearch.ts'

export interface TrigramOptions {
  readonly seed: number
  readonly adaptive: AdaptiveOptions
  readonly search: SearchOptions
}

/**
 * Measured by `test/bench/proposers.ts` (32 greedy answers of the default model, a table of 40,000 tokens that it wrote itself), tokens
 * per target call on chat, summaries, code edits and copies: chains of 8 with the published bonus of 0.04 give 1.36, 1.48, 1.88, 2.29,
 * with 2 they give 1.48, 1.88, 2.06, 3.86, without a table 1.32, 1.79, 2.00, 3.71. The published table is made of 253 MB of text;
 * against a small one, what the sequence itself has shown must count more. Trees of 8 and depth 4: 1.51, 1.88, 2.08, 3.43.
 */
export const trigramDefaults: TrigramOptions = {
  seed: 0,
  adaptive: { bonus: 2, cap: 3, sightingsMax: 16 },
  search: searchDefaults,
}

export class TrigramProposer implements Proposer {
  readonly method = 'trigram'
  readonly #options: TrigramOptions
  readonly #sights: SequenceStore<SequenceSights>
  readonly #successors: Successors
  readonly #search: TrigramSearch

  constructor(table: TrigramTable | null, options: TrigramOptions = trigramDefaults) {
    this.#options = options
    this.#sights = new SequenceStore(limits.speculation.sequencesMax, () => new SequenceSights())
    this.#successors = new Successors(table, options.adaptive)
    this.#search = new TrigramSearch(this.#successors, options.search)
  }

  propose(requests: readonly ProposalRequest[]): Proposal[] {
    return requests.map((request) => this.#proposalFor(request))
  }

  forget(key: number): void {
    this.#sights.forget(key)
  }

  get sequences(): number {
    return this.#sights.size
  }

  #proposalFor(request: ProposalRequest): Proposal {
    const { key, tokens } = request
    const sights = this.#sights.of(key, tokens)
    sights.catchUp(tokens, this.#successors)
    const sighted = sights.sighted(tokens)
    if (!this.#runSearch(sighted)) return { key, method: 'trigram', tree: emptyTree, confidence: [] }
    return request.depthMax >= request.tokensMax
      ? this.#chain(request, sights, sighted)
      : this.#tree(request, sights, sighted)
  }

  #runSearch(sighted: Sighted): boolean {
    const { tokens } = sighted
    if (tokens.length < 2) return false
    return this.#search.run({
      sighted,
      before: tokens.at(-2) ?? 0,
      last: tokens.at(-1) ?? 0,
      seed: this.#options.seed,
      position: tokens.length,
    })
  }

  /** The tree's best path, then the best successor of each last token, as far as it is wanted. */
  #chain({ key, tokensMax }: ProposalRequest, sights: SequenceSights, sighted: Sighted): Proposal {
    const { nodes, chosen } = this.#search
    const proposed: number[] = []
    const confidence: number[] = []
    let node = 0
    for (let i = 0; i < this.#search.chosenCount && proposed.length < tokensMax; i++) {
      const child = chosen[i] ?? 0
      // Most visited first: the first child of a node that comes by is its most visited one.
      if (nodes.parentOf(child) !== node) continue
      proposed.push(nodes.secondOf(child))
      confidence.push(this.#confidenceOf(child, sights, sighted))
      node = child
    }
    let [first, second] = [nodes.firstOf(node), nodes.secondOf(node)]
    while (proposed.length < tokensMax) {
      this.#successors.read(sighted, first, second)
      if (this.#successors.count === 0) break
      ;[first, second] = [second, this.#successors.tokens[0] ?? 0]
      proposed.push(second)
      confidence.push(sights.confidence(this.#successors.kindOf(0)))
    }
    return { key, method: 'trigram', tree: chainOf(proposed), confidence }
  }

  /** Nodes by the estimate that the target comes by them, so that every beginning is the best tree of its size. */
  #tree({ key, tokensMax, depthMax }: ProposalRequest, sights: SequenceSights, sighted: Sighted): Proposal {
    const { nodes, chosen, chosenCount } = this.#search
    const found = new Map<number, { node: number; confidence: number; reach: number }>()
    for (const node of chosen.subarray(0, chosenCount)) {
      if ((nodes.depths[node] ?? 0) > depthMax) continue
      const confidence = this.#confidenceOf(node, sights, sighted)
      found.set(node, { node, confidence, reach: confidence * (found.get(nodes.parentOf(node))?.reach ?? 1) })
    }
    const kept = [...found.values()].toSorted((a, b) => b.reach - a.reach).slice(0, tokensMax)
    const places = new Map(kept.map(({ node }, i) => [node, i]))
    const tree = {
      tokens: kept.map(({ node }) => nodes.secondOf(node)),
      parents: kept.map(({ node }) => places.get(nodes.parentOf(node)) ?? root),
      laws: null,
    }
    return { key, method: 'trigram', tree, confidence: kept.map(({ confidence }) => confidence) }
  }

  /** A node's place among its siblings is the successor's rank; what speaks for it is read again, for few are ever proposed. */
  #confidenceOf(node: number, sights: SequenceSights, sighted: Sighted): number {
    const { nodes } = this.#search
    const parent = nodes.parentOf(node)
    this.#successors.read(sighted, nodes.firstOf(parent), nodes.secondOf(parent))
    return sights.confidence(this.#successors.kindOf(node - (nodes.children[parent] ?? 0)))
  }
}
