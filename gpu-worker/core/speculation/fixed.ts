/**
 * The controller that always drafts as much as it may: as many tokens for every running sequence, because unequal counts fall apart
 * into micro-batches in the split layout. So the sequence with the least room decides, as far as it drafts at all, and one at its end drafts
 * like the others as long as any of them gains by it. Learns nothing.
 */
import type { Ask, Cut, RunningSequence, SpeculationController, StepFacts } from './controller.ts'
import { depthToAsk } from './depthToAsk.ts'
import type { Proposal } from './proposer.ts'

export function createFixedController(): SpeculationController {
  return { asks, cuts, learn: () => undefined, forget: () => undefined }
}

function asks(running: readonly RunningSequence[], step: StepFacts): Ask[] {
  const drafting = running.filter(({ tokensMax, methods }) => tokensMax > 0 && methods.length > 0)
  if (drafting.length === 0) return []
  const share = Math.floor(step.rowsMax / drafting.length)
  const gainMax = Math.max(...drafting.map((sequence) => sequence.gainMax ?? sequence.tokensMax))
  const tokensMax = Math.min(share, gainMax, ...drafting.map((sequence) => sequence.tokensMax))
  if (tokensMax <= 0) return []
  return drafting.flatMap(({ key, methods: [method] }) =>
    method === undefined ? [] : [{ key, method, tokensMax, depthMax: depthToAsk(method, tokensMax, step) }],
  )
}

function cuts(_running: readonly RunningSequence[], proposals: readonly Proposal[]): Cut[] {
  return proposals.map(({ key, tree }) => ({ key, nodes: tree.tokens.length }))
}
