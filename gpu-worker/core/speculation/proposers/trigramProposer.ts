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

export const trigramDefaults: TrigramOptions = {
  seed: 0,
  adaptive: { bonus: 0.04, cap: 3, sightingsMax: 75 },
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
    return request.depthMax >= request.tokensMax ? this.#chain(request, sights, sighted) : this.#tree(request, sights)
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
      confidence.push(sights.confidence(nodes.weights[child] ?? 0, child - (nodes.children[node] ?? 0)))
      node = child
    }
    let [first, second] = [nodes.firstOf(node), nodes.secondOf(node)]
    while (proposed.length < tokensMax) {
      this.#successors.read(sighted, first, second)
      if (this.#successors.count === 0) break
      ;[first, second] = [second, this.#successors.tokens[0] ?? 0]
      proposed.push(second)
      confidence.push(sights.confidence(this.#successors.weights[0] ?? 0, 0))
    }
    return { key, method: 'trigram', tree: chainOf(proposed), confidence }
  }

  /** Nodes by the estimate that the target comes by them, so that every beginning is the best tree of its size. */
  #tree({ key, tokensMax, depthMax }: ProposalRequest, sights: SequenceSights): Proposal {
    const { nodes, chosen, chosenCount } = this.#search
    const reach = new Map<number, { node: number; confidence: number; reach: number }>()
    for (const node of chosen.subarray(0, chosenCount)) {
      if ((nodes.depths[node] ?? 0) > depthMax) continue
      const parent = nodes.parentOf(node)
      const rank = node - (nodes.children[parent] ?? 0)
      const confidence = sights.confidence(nodes.weights[node] ?? 0, rank)
      reach.set(node, { node, confidence, reach: confidence * (reach.get(parent)?.reach ?? 1) })
    }
    const kept = [...reach.values()].toSorted((a, b) => b.reach - a.reach).slice(0, tokensMax)
    const places = new Map(kept.map(({ node }, i) => [node, i]))
    return {
      key,
      method: 'trigram',
      tree: {
        tokens: kept.map(({ node }) => nodes.secondOf(node)),
        parents: kept.map(({ node }) => places.get(nodes.parentOf(node)) ?? root),
        laws: null,
      },
      confidence: kept.map(({ confidence }) => confidence),
    }
  }
}
