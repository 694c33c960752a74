/**
 * Replays written answers through a proposer: at each step it sees the text so far, and its tree is walked with the tokens that the
 * model wrote. Nothing is computed by a model, so a variant takes milliseconds and all variants see the same text. Pure.
 */
import type { Proposal, ProposalRequest } from '../../../gpu-worker/core/speculation/proposer.ts'
import { root, type TokenTree } from '../../../gpu-worker/core/speculation/tokenTree.ts'
import { sum } from './statistics.ts'

export interface Text {
  readonly prompt: readonly number[]
  readonly answer: readonly number[]
}

export interface Variant {
  readonly name: string
  readonly tokensMax: number
  readonly depthMax: number
  create(): { propose(requests: readonly ProposalRequest[]): Proposal[]; forget(key: number): void }
}

export interface Replay {
  readonly tokensPerCall: number
  /** Calls with a proposal, of all calls. */
  readonly hitRate: number
  readonly acceptance: number
  /** Confidence of the nodes that came to be judged, and the share of them that came true. */
  readonly told: number
  readonly came: number
  readonly cut: { readonly speedUp: number; readonly tokensPerCall: number }
}

interface Counts {
  calls: number
  hits: number
  drafted: number
  accepted: number
  tokens: number
  cost: number
  judged: number
  told: number
  came: number
}

/** `cost[n - 1]`: a batch of n rows against one of one row. */
export function replay(variant: Variant, texts: readonly Text[], cost: readonly number[]): Replay {
  const whole = replayAll(variant, texts, { cost, cut: ({ tree }) => tree.tokens.length })
  const cut = replayAll(variant, texts, { cost, cut: (proposal) => bestCut(proposal, cost) })
  return {
    tokensPerCall: whole.tokens / whole.calls,
    hitRate: whole.hits / whole.calls,
    acceptance: whole.drafted === 0 ? 0 : whole.accepted / whole.drafted,
    told: whole.told / Math.max(1, whole.judged),
    came: whole.came / Math.max(1, whole.judged),
    cut: { speedUp: cut.tokens / cut.cost, tokensPerCall: cut.tokens / cut.calls },
  }
}

interface Judging {
  readonly cost: readonly number[]
  readonly cut: (proposal: Proposal) => number
}

function replayAll(variant: Variant, texts: readonly Text[], judging: Judging): Counts {
  const counts: Counts = { calls: 0, hits: 0, drafted: 0, accepted: 0, tokens: 0, cost: 0, judged: 0, told: 0, came: 0 }
  const proposer = variant.create()
  for (const [key, { prompt, answer }] of texts.entries()) {
    // The first token comes from the prompt's own step.
    for (let written = 1; written < answer.length; )
      written += replayStep(
        variant,
        proposer,
        { key, tokens: [...prompt, ...answer.slice(0, written)], rest: answer.slice(written) },
        judging,
        counts,
      )
    proposer.forget(key)
  }
  return counts
}

function replayStep(
  { tokensMax, depthMax }: Variant,
  proposer: ReturnType<Variant['create']>,
  { key, tokens, rest }: { key: number; tokens: readonly number[]; rest: readonly number[] },
  { cost, cut }: Judging,
  counts: Counts,
): number {
  const [proposal] = proposer.propose([{ key, tokens, tokensMax, depthMax }])
  if (proposal === undefined) throw new Error('a proposer did not answer')
  const nodes = cut(proposal)
  const accepted = walk(proposal.tree, nodes, rest, (node, isHit) => {
    counts.judged += 1
    counts.told += proposal.confidence[node] ?? 0
    counts.came += isHit ? 1 : 0
  })
  const gained = Math.min(accepted + 1, rest.length)
  counts.calls += 1
  counts.hits += nodes > 0 ? 1 : 0
  counts.drafted += nodes
  counts.accepted += accepted
  counts.tokens += gained
  counts.cost += cost[Math.min(nodes, cost.length - 1)] ?? 1
  return gained
}

/** How many tokens of `rest` the first `nodes` nodes of a tree foretell. */
function walk(
  { tokens, parents }: TokenTree,
  nodes: number,
  rest: readonly number[],
  judge: (node: number, isHit: boolean) => void,
): number {
  let at = root
  let depth = 0
  for (let node = 0; node < nodes; node++) {
    if (parents[node] !== at) continue
    const isHit = tokens[node] === rest[depth]
    judge(node, isHit)
    if (!isHit) continue
    at = node
    depth += 1
  }
  return depth
}

/** The beginning of a tree that brings most tokens for its cost, by its own confidence. */
function bestCut({ tree, confidence }: Proposal, cost: readonly number[]): number {
  const reach: number[] = []
  for (const [node, parent] of tree.parents.entries())
    reach.push((confidence[node] ?? 0) * (parent === root ? 1 : (reach[parent] ?? 0)))
  const worth = (nodes: number) => (1 + sum(reach.slice(0, nodes))) / (cost[nodes] ?? Number.POSITIVE_INFINITY)
  const sizes = Array.from({ length: tree.tokens.length + 1 }, (_, nodes) => nodes)
  return sizes.reduce((best, nodes) => (worth(nodes) > worth(best) ? nodes : best), 0)
}
