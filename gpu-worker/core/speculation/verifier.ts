/**
 * Who judges a tree of drafts: one interface for every verifier. Each is lossless, which means that the emitted tokens have exactly
 * the target's law, whatever the draft's law was; they differ in how many drafts they accept and in what they need of a tree.
 *
 * All are one procedure (`walk`). At a node a verifier emits ONE token Y whose law is p, the target's law there, and tries to make it
 * coincide with one of the drafted children; this is the view of SpecTr, a coupling of Y ~ p with the drafts that maximises
 * P(Y ∈ {X₁ … Xₖ}). If a child has the token, the walk goes down to it; otherwise the round ends with Y as its last token. A leaf
 * has no drafts, and Y is the bonus token.
 *
 * What a verifier may rely on is that each child was drawn from the law the tree names for it. A rule that stops drafting, or cuts a
 * tree, may look at draft-side data only, and, except for verifiers that need nothing, not at the tokens it then cuts: a token that
 * is dropped because it looked bad changes the law of those that stay.
 */
import assert from 'node:assert/strict'
import type { Chance } from './chance.ts'
import type { Law } from './law.ts'
import { root, type TokenTree } from './tokenTree.ts'

/**
 * - `nothing`: tokens may come from anywhere, cut by any draft-side rule.
 * - `draws-in-order`: each node's token was drawn from its law, which may depend on the siblings before it (without replacement).
 *   Whether a node was drawn at all may depend on anything drawn before it.
 * - `independent-draws`: siblings were drawn independently from one law (with replacement, so that equal ones are kept), and how many
 *   there are was fixed before the first was drawn.
 * - `top-and-draw`: siblings are the draft's most probable tokens and, last, one draw from the rest of its law; their number was fixed
 *   in advance.
 */
export type TreeNeeds = 'nothing' | 'draws-in-order' | 'independent-draws' | 'top-and-draw'

export interface Verifier {
  readonly name: string
  readonly needs: TreeNeeds
  verify(round: Round): Verdict
}

export interface Round {
  readonly tree: TokenTree
  /** The target's law after a node's path (`root`: after the sequence). Asked at most once per emitted token. */
  targetLaw(node: number): Law
  readonly chance: Chance
}

export interface Verdict {
  /** Accepted nodes from the root downwards; of equal siblings the first. */
  readonly path: readonly number[]
  /** The token after them: from the residual, or the bonus. */
  readonly token: number
}

/** A drafted token and the law it was drawn from. */
export interface Draft {
  readonly token: number
  readonly law: Law
}

/** One token of law `target`. `drafts` is never empty. */
export type Judge = (target: Law, drafts: readonly [Draft, ...Draft[]], chance: Chance) => number

/** One that has a rule for a single node, so that whoever walks a tree with state of its own can ask it there. */
export interface NodeVerifier extends Verifier {
  readonly judge: Judge
}

/** A verifier from its rule at one node. */
export function verifierOf(name: string, needs: TreeNeeds, judge: Judge): NodeVerifier {
  return {
    name,
    needs,
    judge,
    verify: (round) =>
      walk(round.tree, (node, children) => {
        const target = round.targetLaw(node)
        const [first, ...others] = children.map((child) => draftOf(round.tree, child))
        return first === undefined ? round.chance.draw(target) : judge(target, [first, ...others], round.chance)
      }),
  }
}

/**
 * Goes down the tree as long as a child has the token that `emit` gives for a node. Siblings with the same token (paths that were
 * drawn independently) are one place: their children are judged together.
 */
export function walk(tree: TokenTree, emit: (node: number, children: readonly number[]) => number): Verdict {
  const path: number[] = []
  let here: readonly number[] = [root]
  for (;;) {
    const children = childrenOfAny(tree, here)
    const token = emit(path.at(-1) ?? root, children)
    here = children.filter((child) => tree.tokens[child] === token)
    const [next] = here
    if (next === undefined) return { path, token }
    path.push(next)
  }
}

function childrenOfAny(tree: TokenTree, nodes: readonly number[]): number[] {
  const [first = root] = nodes
  const children: number[] = []
  for (let i = first + 1; i < tree.parents.length; i++) {
    const parent = tree.parents[i] ?? root
    if (parent === first || (nodes.length > 1 && nodes.includes(parent))) children.push(i)
  }
  return children
}

function draftOf(tree: TokenTree, node: number): Draft {
  const token = tree.tokens[node]
  const law = tree.laws?.[node]
  assert(token !== undefined && law !== undefined, `node ${node} has no law, so its token cannot be judged by one`)
  return { token, law }
}
