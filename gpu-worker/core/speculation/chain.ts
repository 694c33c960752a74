/**
 * What the engine makes of a proposal before it verifies it: is it what was asked for at all, and what of it can be verified: a tree,
 * or the chain in it where trees cannot be. Pure.
 */
import { probabilityOf } from './law.ts'
import type { Proposal, ProposalRequest, ProposerMethod } from './proposer.ts'
import { beginningOf, root, type TokenTree } from './tokenTree.ts'
import { nodesWithin } from './treeSequences.ts'

/**
 * The path that follows the first child at each node, among the first `nodes` nodes. Draws keep their laws: siblings that are left out
 * were drawn after the first one, which does not depend on them.
 */
export function chainIn(tree: TokenTree, nodes: number): TokenTree {
  const path: number[] = []
  for (let i = 0; i < Math.min(nodes, tree.tokens.length); i++)
    if (tree.parents[i] === (path.at(-1) ?? root)) path.push(i)
  return {
    ...tree,
    tokens: path.map((node) => tree.tokens[node] ?? 0),
    parents: path.map((_, i) => i - 1),
    laws: tree.laws === null ? null : path.flatMap((node) => tree.laws?.[node] ?? []),
  }
}

/** What is verified of a proposal's first `nodes` nodes where so many paths beyond one may be: all of them, or fewer, or a chain. */
export function verifiable(tree: TokenTree, limits: { readonly nodes: number; readonly forksMax: number }): TokenTree {
  const { nodes, forksMax } = limits
  if (forksMax === 0) return chainIn(tree, nodes)
  const beginning = beginningOf(tree, nodes)
  return beginningOf(beginning, nodesWithin(beginning, 1 + forksMax))
}

/** Why these proposals are no answer to these requests; null where they are one. */
export function faultOf(
  proposals: readonly Proposal[],
  requests: readonly ProposalRequest[],
  known: { readonly method: ProposerMethod; readonly vocabularySize: number },
): string | null {
  if (proposals.length !== requests.length) return `${proposals.length} proposals for ${requests.length} sequences`
  for (const [i, request] of requests.entries()) {
    const fault = faultOfOne(proposals[i], request, known)
    if (fault !== null) return `sequence ${request.key}: ${fault}`
  }
  return null
}

function faultOfOne(
  proposal: Proposal | undefined,
  { key, tokensMax }: ProposalRequest,
  { method, vocabularySize }: { readonly method: ProposerMethod; readonly vocabularySize: number },
): string | null {
  if (proposal?.key !== key || proposal.method !== method) return 'the answer is about another one'
  const { tree, confidence } = proposal
  const { tokens, parents } = tree
  if (tokens.length > tokensMax) return `${tokens.length} tokens where at most ${tokensMax} were asked for`
  if (parents.length !== tokens.length || confidence.length !== tokens.length)
    return `${tokens.length} tokens with ${parents.length} parents and ${confidence.length} confidences`
  const isToken = (token: number) => Number.isInteger(token) && token >= 0 && token < vocabularySize
  const stranger = tokens.find((token) => !isToken(token))
  if (stranger !== undefined) return `token ${stranger} of a vocabulary of ${vocabularySize}`
  const fault = faultOfLaws(tree)
  if (fault !== null) return fault
  const isParent = (parent: number, i: number) => Number.isInteger(parent) && parent >= root && parent < i
  return parents.every(isParent) ? null : 'a node stands before its parent'
}

/** Draws are judged by the laws that they name, so these must be laws, and the tokens must be possible in them. */
function faultOfLaws({ tokens, laws }: TokenTree): string | null {
  if (laws === null) return null
  if (laws.length !== tokens.length) return `${tokens.length} draws of ${laws.length} laws`
  for (const [i, law] of laws.entries()) {
    const total = law.weights.reduce((sum, weight) => sum + weight, 0)
    if (!(Math.abs(total - 1) < 1e-6 && law.weights.every((weight) => weight >= 0))) return `draw ${i} names no law`
    if (!(probabilityOf(law, tokens[i] ?? -1) > 0)) return `draw ${i} is impossible in its law`
  }
  return null
}
