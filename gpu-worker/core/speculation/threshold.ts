/**
 * The controller that goes by confidence alone: has drafts made until what comes next is not likely enough, and verifies a draft's
 * beginning, as long as it is likely enough that all of it is taken (the threshold of SpecDec++, `stopping/`). Knows no cost and learns
 * nothing.
 */
import type { Ask, Cut, RunningSequence, SpeculationController } from './controller.ts'
import type { Proposal } from './proposer.ts'
import { startOfDraft, type StopRule } from './stopping/stopRule.ts'

export function createThresholdController(rule: StopRule): SpeculationController {
  return {
    asks,
    cuts: (_running, proposals) => proposals.map((proposal) => cutOf(proposal, rule)),
    learn: () => undefined,
    forget: () => undefined,
  }
}

function asks(running: readonly RunningSequence[]): Ask[] {
  return running.flatMap((sequence) => {
    const { key, methods } = sequence
    const [method] = methods
    const tokensMax = Math.min(sequence.tokensMax, sequence.gainMax ?? sequence.tokensMax)
    if (method === undefined || tokensMax <= 0) return []
    return [{ key, method, tokensMax, depthMax: tokensMax, stopsEarly: true }]
  })
}

/** The token that makes the rest too unlikely is not verified either: its own chance is part of the product. */
function cutOf({ key, tree, confidence }: Proposal, rule: StopRule): Cut {
  let state = startOfDraft
  for (let nodes = 0; nodes < tree.tokens.length; nodes++) {
    state = rule.next(state, { chance: confidence[nodes] ?? 0 })
    if (rule.shouldStop(state)) return { key, nodes }
  }
  return { key, nodes: tree.tokens.length }
}
