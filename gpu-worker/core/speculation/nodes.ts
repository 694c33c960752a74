/** A proposal as the controller sees it: what each node is expected to gain. Pure. */
import type { Acceptance } from './acceptance.ts'
import type { Proposal } from './proposer.ts'
import { shifted } from './rates.ts'
import { depthsOf } from './tokenTree.ts'

export interface DraftNode {
  readonly parent: number
  readonly depth: number
  readonly confidence: number
  /** A sibling stands before it: a chain would not have it. */
  readonly isAlternative: boolean
  /** That it becomes text: it and everything above it is taken. */
  readonly gain: number
}

/** In the order of the proposal. The chances of siblings exclude each other, so gains add up. */
export function nodesOf(proposal: Proposal, acceptance: Acceptance): DraftNode[] {
  const { method, key, tree } = proposal
  const shift = acceptance.shiftOf(method, key)
  const depths = depthsOf(tree)
  const nodes: DraftNode[] = []
  const parents = new Set<number>()
  for (const [i, parent] of tree.parents.entries()) {
    const depth = depths[i] ?? 1
    const confidence = proposal.confidence[i] ?? 0
    const chance = shifted(acceptance.sharedChance(method, { depth, confidence }), shift)
    const gain = chance * (nodes[parent]?.gain ?? 1)
    nodes.push({ parent, depth, confidence, gain, isAlternative: parents.has(parent) })
    parents.add(parent)
  }
  return nodes
}
