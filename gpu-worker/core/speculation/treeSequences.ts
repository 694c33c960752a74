/**
 * A token tree in an engine that knows sequences and no trees (llama.cpp in unified mode): every root-to-leaf path is a sequence, and a
 * node's cell belongs to all sequences whose path goes through it. So one decode judges the tree exactly, without a custom mask.
 *
 * Only plans what to do; ids stand for sequence ids of the engine. The sequence itself, `main`, is the path to the first leaf, so a
 * chain needs no other id. Copies and removals concern whole ends of sequences only, which are free in unified mode.
 */
import assert from 'node:assert/strict'
import { root, type TokenTree } from './tokenTree.ts'

export interface TreeSequences {
  readonly main: number
  /** Ids that must be given the past of `main` before the decode, and with it the row of its last token. */
  readonly forks: readonly number[]
  /** Ids of the row before the tree: the sequence's last token, which all paths continue. */
  readonly rootIds: readonly number[]
  /** For each node all ids whose path goes through it, ascending by leaf. */
  readonly nodeIds: readonly (readonly number[])[]
}

export interface TreeCommit {
  /** First drop what `main` holds beyond this many draft tokens … */
  readonly mainKeeps: number
  /** … then give it those of the winner from there up to the accepted length (none where `main` is the winner) … */
  readonly copy: { readonly from: number; readonly start: number; readonly end: number } | null
  /** … then drop these sequences whole. */
  readonly remove: readonly number[]
}

/** What the engine can tell apart (LLAMA_MAX_SEQ). */
const sequencesMax = 256

/**
 * Ids beyond one per slot that a context is opened with. A tree of eight nodes has three or four leaves; each id costs a row of
 * logits in memory, whether it is used or not.
 */
export function spareIdsFor(slots: number): number {
  return Math.max(0, Math.min(sequencesMax - slots, Math.max(15, 4 * slots)))
}

/** Nodes without children, in the order of the tree. */
export function leavesOf({ parents }: Pick<TokenTree, 'parents'>): number[] {
  const inner = new Set(parents)
  return [...parents.keys()].filter((node) => !inner.has(node))
}

/** Throws where there are more leaves than ids: the caller cuts the tree to what it has ids for. */
export function assignSequences(
  tree: TokenTree,
  ids: { readonly main: number; readonly spare: readonly number[] },
): TreeSequences {
  const leaves = leavesOf(tree)
  const forks = ids.spare.slice(0, Math.max(0, leaves.length - 1))
  const rootIds = [ids.main, ...forks]
  assert(rootIds.length >= leaves.length, `${leaves.length} paths and only ${rootIds.length} sequence ids`)
  const nodeIds: number[][] = tree.tokens.map(() => [])
  for (const [i, leaf] of leaves.entries()) {
    for (let node = leaf; node !== root; node = tree.parents[node] ?? root) nodeIds[node]?.push(rootIds[i] ?? ids.main)
  }
  return { main: ids.main, forks, rootIds, nodeIds }
}

/** The largest beginning of the tree with at most this many leaves: as many nodes as sequence ids allow. */
export function nodesWithin(tree: TokenTree, leavesMax: number): number {
  const hasChild = new Set<number>()
  let leaves = 0
  for (const [node, parent] of tree.parents.entries()) {
    // The first child of a leaf takes its place; any other node adds a path.
    const continues = parent !== root && !hasChild.has(parent)
    if (!continues) leaves += 1
    if (leaves > leavesMax) return node
    hasChild.add(parent)
  }
  return tree.tokens.length
}

/** `path`: accepted nodes, from the root downwards, as a verdict has them. */
export function commitOf(sequences: TreeSequences, path: readonly number[]): TreeCommit {
  const { main, nodeIds, forks } = sequences
  const isMains = (node: number) => nodeIds[node]?.includes(main) ?? false
  const firstForeign = path.findIndex((node) => !isMains(node))
  const mainKeeps = firstForeign < 0 ? path.length : firstForeign
  const [winner] = nodeIds[path.at(-1) ?? root] ?? []
  const copy =
    mainKeeps === path.length || winner === undefined ? null : { from: winner, start: mainKeeps, end: path.length }
  return { mainKeeps, copy, remove: forks }
}
