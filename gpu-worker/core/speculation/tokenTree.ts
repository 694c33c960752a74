/**
 * Draft tokens of one sequence as a tree: every path from the root is one possible continuation. The root is the sequence itself and
 * no node; parents stand before their children, siblings in the order in which they are to be tried.
 */
import assert from 'node:assert/strict'
import type { Law } from './law.ts'

/** The parent of a node that directly follows the sequence. */
export const root = -1

export interface TokenTree {
  readonly tokens: readonly number[]
  /** `parents[i] < i`, or `root`. */
  readonly parents: readonly number[]
  /**
   * The law each node was drawn from, as it was at that draw (without replacement: renormalised after each earlier sibling). null
   * where tokens were proposed without a draw (n-grams, top-k): then only verifiers that need no law may judge them.
   */
  readonly laws: readonly Law[] | null
  /** Whoever proposed them knew the noise that the target chooses by (`sameNoise.ts`): they coincide with its choice more often than by their mass. */
  readonly knowsNoise?: boolean
}

export const emptyTree: TokenTree = { tokens: [], parents: [], laws: null }

export function chainOf(tokens: readonly number[], laws: readonly Law[] | null = null): TokenTree {
  assert(laws === null || laws.length === tokens.length, `${laws?.length} laws for ${tokens.length} tokens`)
  return { tokens, parents: tokens.map((_, i) => i - 1), laws }
}

export function isChain(tree: TokenTree): boolean {
  return tree.parents.every((parent, i) => parent === i - 1)
}

/** The first `nodes` nodes: a tree too, because parents stand before their children. */
export function beginningOf(tree: TokenTree, nodes: number): TokenTree {
  const { tokens, parents, laws } = tree
  return {
    ...tree,
    tokens: tokens.slice(0, nodes),
    parents: parents.slice(0, nodes),
    laws: laws === null ? null : laws.slice(0, nodes),
  }
}

/** Children of a node (or of `root`), in their order. */
export function childrenOf(tree: TokenTree, node: number): number[] {
  return tree.parents.flatMap((parent, i) => (parent === node ? [i] : []))
}

/** 1 for children of the root. */
export function depthsOf(tree: TokenTree): number[] {
  const depths: number[] = []
  for (const parent of tree.parents) depths.push(parent === root ? 1 : 1 + (depths[parent] ?? 0))
  return depths
}

/** How many nodes are no deeper than this. */
export function nodesToDepth(tree: TokenTree, depthMax: number): number {
  if (tree.tokens.length <= depthMax) return tree.tokens.length
  return depthsOf(tree).filter((depth) => depth <= depthMax).length
}

/** Tokens from the root down to a node; none for `root`. */
export function pathOf(tree: TokenTree, node: number): number[] {
  const path: number[] = []
  for (let at = node; at !== root; at = tree.parents[at] ?? root) path.push(tree.tokens[at] ?? 0)
  return path.reverse()
}
