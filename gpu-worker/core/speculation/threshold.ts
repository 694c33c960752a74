/**
 * The controller that goes by confidence alone: has drafts made until what comes next is not likely enough, and verifies a draft's
 * beginning, as long as it is likely enough that all of it is taken (the threshold of SpecDec++, `stopping/`). It learns nothing of
 * acceptance; what it takes from measurement is where to stop: a draft token that is wasted costs its proposing and a row, a draft that ends too
 * early costs the target another call, and the best threshold is between the two prices.
 */
import type { Ask, Cut, RunningSequence, SpeculationController, StepFacts, StepOutcome } from './controller.ts'
import { DraftCost } from './draftCost.ts'
import type { Proposal, ProposerMethod } from './proposer.ts'
import { ShapeCosts, type ShapeCostsOptions } from './shapes.ts'
import { bestThreshold, confidenceRule, startOfDraft } from './stopping/stopRule.ts'

const rule = confidenceRule()

export function createThresholdController(costs: ShapeCostsOptions): SpeculationController {
  return new ThresholdController(costs)
}

class ThresholdController implements SpeculationController {
  readonly #costs: ShapeCosts
  readonly #draftCost = new DraftCost()
  #rejectedMax = 0

  constructor(costs: ShapeCostsOptions) {
    this.#costs = new ShapeCosts(costs)
  }

  asks(running: readonly RunningSequence[], step: StepFacts): Ask[] {
    const asked = running.flatMap((sequence) => {
      const { key, methods } = sequence
      const [method] = methods
      const tokensMax = Math.min(sequence.tokensMax, sequence.gainMax ?? sequence.tokensMax)
      return method === undefined || tokensMax <= 0 ? [] : [{ key, method, tokensMax, depthMax: tokensMax }]
    })
    const [first] = asked
    if (first === undefined) return []
    this.#rejectedMax = this.#thresholdFor(first.method, running, step)
    return asked.map((ask) => ({ ...ask, rejectedMax: this.#rejectedMax }))
  }

  cuts(_running: readonly RunningSequence[], proposals: readonly Proposal[]): Cut[] {
    return proposals.map((proposal) => cutOf(proposal, this.#rejectedMax))
  }

  learn({ rounds, draftMs }: StepOutcome): void {
    for (const [method, of] of Map.groupBy(rounds, (round) => round.method)) {
      const ms = draftMs[method]
      const depth = Math.max(...of.map(({ proposed }) => proposed))
      if (ms !== undefined) this.#draftCost.observe(method, { sequences: of.length, depth }, ms)
    }
  }

  forget(): void {
    // Nothing is kept of any sequence.
  }

  /** By what one more token of each sequence's draft takes, and a step without any. */
  #thresholdFor(method: ProposerMethod, running: readonly RunningSequence[], { promptTokens }: StepFacts): number {
    const sequences = running.length
    const contextTokens = running.reduce((sum, sequence) => sum + sequence.contextTokens, 0) / sequences
    const { passMs } = this.#costs.pricesAt({ sequences, contextTokens, promptTokens })
    const rowsMs = Math.max(0, passMs(2 * sequences) - passMs(sequences))
    const draftToken = rowsMs + this.#draftCost.predictMs(method, { sequences, depth: 1 })
    return bestThreshold({ draftToken, targetCall: passMs(sequences) })
  }
}

/** The token that makes the rest too unlikely is not verified either: its own chance is part of the product. */
function cutOf({ key, tree, confidence }: Proposal, rejectedMax: number): Cut {
  let state = startOfDraft
  for (let nodes = 0; nodes < tree.tokens.length; nodes++) {
    state = rule.next(state, { chance: confidence[nodes] ?? 0 })
    if (rule.shouldStop(state, rejectedMax)) return { key, nodes }
  }
  return { key, nodes: tree.tokens.length }
}
