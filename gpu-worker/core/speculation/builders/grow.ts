/**
 * Growing a tree needs the draft's law at places that are only known while it grows, and the draft may be another model on another
 * thread. So a build is a generator: it yields the nodes whose next-token laws it needs, all that can be computed in one batch, and
 * goes on with those laws. It stays pure; whoever drives it may wait between two steps.
 *
 * A build sees draft laws and chance and nothing else. That is what makes every tree lossless for its verifier.
 */
import type { Law } from '../law.ts'
import { pathOf, root, type TokenTree } from '../tokenTree.ts'

export interface Growth {
  readonly tree: TokenTree
  /** Per node, the chance that the target takes it once its parent is taken, as the draft believes: its own probability there. */
  readonly confidence: readonly number[]
}

export interface LawsWanted {
  /** As it is so far; nodes are never changed or moved. */
  readonly tree: TokenTree
  /** Wanted is the law after the path of each of these; `root` stands for the sequence itself. Each is asked for once. */
  readonly nodes: readonly number[]
}

export type Build = Generator<LawsWanted, Growth, readonly Law[]>

/** Runs a build on a draft that answers at once. */
export function grow(build: Build, draftLaw: (path: readonly number[]) => Law): Growth {
  let step = build.next([])
  while (step.done !== true) {
    const { tree, nodes } = step.value
    step = build.next(nodes.map((node) => draftLaw(pathOf(tree, node))))
  }
  return step.value
}

/** A tree that grows node by node. */
export class Growing {
  readonly #tokens: number[] = []
  readonly #parents: number[] = []
  readonly #laws: Law[] = []
  readonly #confidence: number[] = []
  readonly #depths: number[] = []
  readonly #drawn: boolean

  /** `drawn`: tokens are draws, so that the tree names their laws. */
  constructor(options: { readonly drawn: boolean }) {
    this.#drawn = options.drawn
  }

  get size(): number {
    return this.#tokens.length
  }

  add(node: {
    readonly parent: number
    readonly token: number
    readonly law: Law
    readonly confidence: number
  }): number {
    this.#tokens.push(node.token)
    this.#parents.push(node.parent)
    this.#laws.push(node.law)
    this.#confidence.push(node.confidence)
    this.#depths.push(this.depthOf(node.parent) + 1)
    return this.#tokens.length - 1
  }

  depthOf(node: number): number {
    return node === root ? 0 : (this.#depths[node] ?? 0)
  }

  get growth(): Growth {
    return { tree: this.tree, confidence: this.#confidence }
  }

  get tree(): TokenTree {
    return { tokens: this.#tokens, parents: this.#parents, laws: this.#drawn ? this.#laws : null }
  }
}
