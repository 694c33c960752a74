/**
 * Trees without repetition. The target computes each distinct path once, however many drafts go through it; verifiers that count
 * equal drafts keep the tree as it was drawn and look up rows by `rowOf`.
 */
import { root, type TokenTree } from './tokenTree.ts'

/** The trie of these paths: unique nodes, in the order in which the paths bring them. Nobody drew them as such: no laws. */
export function treeOfPaths(paths: readonly (readonly number[])[]): TokenTree {
  const trie = new Trie()
  for (const path of paths) path.reduce((parent, token) => trie.child(parent, token), root as number)
  return trie.tree
}

export interface MergedTree {
  readonly tree: TokenTree
  /** For each node of the original the node of the merged tree that stands for it. */
  readonly rowOf: readonly number[]
}

/** Siblings with equal tokens become one node. */
export function mergeEqualSiblings({ tokens, parents }: TokenTree): MergedTree {
  const trie = new Trie()
  const rowOf: number[] = []
  for (const [node, token] of tokens.entries()) {
    const parent = parents[node] ?? root
    rowOf.push(trie.child(parent === root ? root : (rowOf[parent] ?? root), token))
  }
  return { tree: trie.tree, rowOf }
}

/** Depth first: every path's nodes side by side, siblings in their order. Any order with parents first is the same tree. */
export function depthFirst(tree: TokenTree): { readonly tree: TokenTree; readonly order: readonly number[] } {
  const children = new Map<number, number[]>()
  for (const [node, parent] of tree.parents.entries()) children.set(parent, [...(children.get(parent) ?? []), node])
  const order: number[] = []
  const visit = (node: number): void => {
    for (const child of children.get(node) ?? []) {
      order.push(child)
      visit(child)
    }
  }
  visit(root)
  return { tree: reordered(tree, order), order }
}

function reordered(tree: TokenTree, order: readonly number[]): TokenTree {
  const { tokens, parents, laws } = tree
  const places = new Map(order.map((node, place) => [node, place]))
  const pick = <T>(list: readonly T[]): T[] => order.flatMap((node) => list.slice(node, node + 1))
  return {
    ...tree,
    tokens: pick(tokens),
    parents: pick(parents).map((parent) => places.get(parent) ?? root),
    laws: laws === null ? null : pick(laws),
  }
}

class Trie {
  readonly #tokens: number[] = []
  readonly #parents: number[] = []
  readonly #known = new Map<string, number>()

  /** The node of this token below a parent, made where it is new. */
  child(parent: number, token: number): number {
    const key = `${parent}/${token}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    this.#tokens.push(token)
    this.#parents.push(parent)
    this.#known.set(key, this.#tokens.length - 1)
    return this.#tokens.length - 1
  }

  get tree(): TokenTree {
    return { tokens: this.#tokens, parents: this.#parents, laws: null }
  }
}
