/**
 * One sequence's draft as a tree, layer by layer (DySpec, threshold build): places that the draft believes in get a node, and a whole layer
 * is computed at once, with the layers of other sequences. For the unified layout, where a path can fork.
 *
 * A path is a sequence id of the draft's context. The first child of a node goes on in its parent's, the others in borrowed ones, which
 * are given its past without computing it again; all borrowed ids are empty again after `finish`.
 */
import type { Law } from '../core/speculation/law.ts'
import { growByThreshold } from '../core/speculation/builders/dySpec.ts'
import type { Build, Growth, LawsWanted } from '../core/speculation/builders/grow.ts'
import { depthsOf, emptyTree, root, type TokenTree } from '../core/speculation/tokenTree.ts'
import type { NativeSpan } from './batch.ts'
import { type Drafted, type Drafting, type DraftingOptions, marked } from './draftChain.ts'

/** Sequence ids that paths beside the first may use. */
export interface Forks {
  /** This many, or fewer. */
  borrow(count: number): number[]
  giveBack(ids: readonly number[]): void
  /** `to` is to hold what `from` holds before `position`. */
  fork(from: number, to: number, position: number): void
}

export class TreeDrafting implements Drafting {
  readonly #o: DraftingOptions
  readonly #forks: Forks
  readonly #build: Build
  readonly #free: number[]
  readonly #borrowed: readonly number[]
  readonly #sequenceOf: Map<number, number>
  readonly #startsAt: number
  #step: IteratorResult<LawsWanted, Growth>

  constructor(options: DraftingOptions & { readonly forks: Forks; readonly pathsMax: number }) {
    const { request, place, laws, forks, pathsMax } = options
    this.#o = options
    this.#forks = forks
    this.#borrowed = forks.borrow(Math.min(pathsMax, request.tokensMax))
    this.#free = [...this.#borrowed]
    this.#sequenceOf = new Map([[root, place.sequence]])
    this.#startsAt = request.tokens.length
    this.#build = growByThreshold({
      picking: request.drawing?.kind === 'own-chance' ? laws.chanceOf(request) : 'best',
      nodesMax: request.tokensMax,
      depthMax: request.depthMax,
      valueMin: 1 / request.tokensMax,
      // Not one more for the sequence's own id: where its path ends, no other can use it.
      widthMax: Math.max(1, this.#borrowed.length),
    })
    this.#step = this.#build.next([])
  }

  next(): NativeSpan[] {
    if (this.#step.done === true) return []
    const { tree, nodes } = this.#step.value
    this.#assign(tree, nodes)
    const depths = depthsOf(tree)
    return nodes.flatMap((node) => {
      const token = tree.tokens[node]
      const slot = this.#sequenceOf.get(node)
      if (token === undefined || slot === undefined) return []
      if (slot === this.#o.place.sequence) this.#o.place.tokens.push(token)
      return [{ slot, position: this.#startsAt - 1 + (depths[node] ?? 0), tokens: [token], logitsForLast: 1 }]
    })
  }

  take(rows: readonly Float32Array[]): void {
    if (this.#step.done === true) return
    const { laws, request } = this.#o
    const { tree, nodes } = this.#step.value
    const depths = depthsOf(tree)
    const positionAfter = (node: number | undefined) => this.#startsAt + (node === undefined ? 0 : (depths[node] ?? 0))
    this.#step = this.#build.next(
      rows.map((row, i): Law => laws.read(row, request.drawing ?? null, positionAfter(nodes[i]))),
    )
  }

  finish(): Drafted {
    this.#forks.giveBack(this.#borrowed)
    if (this.#step.done !== true) return { tree: emptyTree, confidence: [] }
    const { tree, confidence } = this.#step.value
    return { tree: marked(tree, this.#o.request), confidence }
  }

  /** Paths that end above this layer give their ids to those that fork in it. */
  #assign(tree: TokenTree, nodes: readonly number[]): void {
    const byParent = Map.groupBy(nodes, (node) => tree.parents[node] ?? root)
    const before = new Map(this.#sequenceOf)
    this.#sequenceOf.clear()
    for (const [parent, id] of before) if (!byParent.has(parent) && id !== this.#o.place.sequence) this.#free.push(id)
    for (const [parent, [first, ...others]] of byParent) {
      const from = before.get(parent)
      if (from === undefined || first === undefined) continue
      this.#sequenceOf.set(first, from)
      for (const node of others) this.#fork(from, node, this.#startsAt + (depthsOf(tree)[parent] ?? 0))
    }
  }

  #fork(from: number, node: number, position: number): void {
    const to = this.#free.pop()
    if (to === undefined) return
    this.#forks.fork(from, to, position)
    this.#sequenceOf.set(node, to)
  }
}
