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

/** A node of a tree that is being put together. */
interface Branch {
  readonly token: number
  /** Its place in the list. */
  readonly parent: number
  readonly confidence: number
  /** That the target comes by it: the confidences along its path. */
  readonly reach: number
  readonly depth: number
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

  /**
   * What the search has found and, behind its best path, what the chain would go on with: nodes by the estimate that the target comes by
   * them, so that every beginning is the best tree of its size, and a chain where nothing speaks for a branch.
   */
  #tree({ key, tokensMax, depthMax }: ProposalRequest, sights: SequenceSights, sighted: Sighted): Proposal {
    const found = this.#found(depthMax, sights, sighted)
    this.#extend(found, Math.min(depthMax, tokensMax), sights, sighted)
    // Parents stay before their children: no node is likelier than its parent, and the sort is stable.
    const order = [...found.keys()]
      .toSorted((a, b) => (found[b]?.reach ?? 0) - (found[a]?.reach ?? 0))
      .slice(0, tokensMax)
    const places = new Map(order.map((index, place) => [index, place]))
    const kept = order.flatMap((index) => found[index] ?? [])
    const tree = {
      tokens: kept.map(({ token }) => token),
      parents: kept.map(({ parent }) => places.get(parent) ?? root),
      laws: null,
    }
    return { key, method: 'trigram', tree, confidence: kept.map(({ confidence }) => confidence) }
  }

  #found(depthMax: number, sights: SequenceSights, sighted: Sighted): Branch[] {
    const { nodes, chosen, chosenCount } = this.#search
    const found: Branch[] = []
    const indexes = new Map<number, number>()
    for (const node of chosen.subarray(0, chosenCount)) {
      const depth = nodes.depths[node] ?? 0
      if (depth > depthMax) continue
      const parent = indexes.get(nodes.parentOf(node)) ?? root
      const confidence = this.#confidenceOf(node, sights, sighted)
      indexes.set(node, found.length)
      const reach = confidence * (found[parent]?.reach ?? 1)
      found.push({ token: nodes.secondOf(node), parent, confidence, reach, depth })
    }
    return found
  }

  /** Grows the path of first children by the best successor of each last token. */
  #extend(found: Branch[], depthMax: number, sights: SequenceSights, sighted: Sighted): void {
    let end = root
    for (const [index, { parent }] of found.entries()) if (parent === end) end = index
    let last = found[end]
    if (last === undefined) return
    let before = found[last.parent]?.token ?? sighted.tokens.at(-1) ?? 0
    while (last.depth < depthMax) {
      this.#successors.read(sighted, before, last.token)
      if (this.#successors.count === 0) return
      const confidence = sights.confidence(this.#successors.kindOf(0))
      before = last.token
      const token = this.#successors.tokens[0] ?? 0
      last = { token, parent: end, confidence, reach: last.reach * confidence, depth: last.depth + 1 }
      end = found.push(last) - 1
    }
  }

  /** A node's place among its siblings is the successor's rank; what speaks for it is read again, for few are ever proposed. */
  #confidenceOf(node: number, sights: SequenceSights, sighted: Sighted): number {
    const { nodes } = this.#search
    const parent = nodes.parentOf(node)
    this.#successors.read(sighted, nodes.firstOf(parent), nodes.secondOf(parent))
    return sights.confidence(this.#successors.kindOf(node - (nodes.children[parent] ?? 0)))
  }
}
