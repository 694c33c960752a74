/** For tests: a chain made into a tree whose right path is never the first one. */
import { root, type TokenTree } from './tokenTree.ts'

/**
 * Each token of the chain gets an elder sibling, `wrong` of it, with a child of its own; cut to `nodesMax`. Whatever judges by the order of
 * nodes or of cells takes the wrong turn at every place.
 */
export function bushyTree(chain: readonly number[], wrong: (token: number) => number, nodesMax: number): TokenTree {
  const tokens: number[] = []
  const parents: number[] = []
  const add = (token: number, parent: number) => {
    parents.push(parent)
    return tokens.push(token) - 1
  }
  let end = root
  for (const token of chain) {
    const sibling = add(wrong(token), end)
    end = add(token, end)
    add(token, sibling)
  }
  return { tokens: tokens.slice(0, nodesMax), parents: parents.slice(0, nodesMax), laws: null }
}
