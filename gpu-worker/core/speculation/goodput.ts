/**
 * The controller that maximises token goodput (SmartSpec, arXiv 2406.14066): each step, expected tokens over predicted time.
 *
 * Before drafting it decides with what it expects of each sequence and method, after drafting once more with what the proposals say
 * of themselves; the time of drafting is then spent and no longer counts. What costs little against what it saves and says sometimes
 * more and sometimes less of itself (n-grams) is asked for always, and the second decision alone counts. Where nothing pays nobody is asked, but for
 * probes that are paid from a bounded account.
 *
 * Decisions look at draft-side data and earlier steps only, so that the verifier stays lossless and the learned rates unbiased.
 */
import { Acceptance } from './acceptance.ts'
import type {
  Ask,
  Cut,
  RoundOutcome,
  RunningSequence,
  SpeculationController,
  StepFacts,
  StepOutcome,
} from './controller.ts'
import { depthToAsk } from './depthToAsk.ts'
import { DraftCost } from './draftCost.ts'
import { evaluate, type LengthProblem, planLengths } from './lengths.ts'
import { LookWorth } from './lookWorth.ts'
import { MethodChoice, type Prices } from './methodChoice.ts'
import { type DraftNode, nodesOf } from './nodes.ts'
import { type ProbeOffer, Probing } from './probing.ts'
import { lookups, type Proposal, type ProposerMethod } from './proposer.ts'
import { ShapeCosts, type ShapeCostsOptions, type StepPrices } from './shapes.ts'

/** A round of proposals is free where it takes no more than this share of a step … */
const freeShare = 0.002
/** … and that of a look-up as good as free where hearing it has saved so much more than it takes. */
const lookGain = 1.5
/** Proposals differ where the chance of their first token strays this far from its mean. */
const selectiveSpread = 0.05
const lengthMax = 64
/**
 * Branches are asked for where a batch of nine rows for each sequence takes no more than this many plain steps. Replayed tri-grams gain 1 to 4 %
 * by them at 1.1, 1 to 2 % at 1.3, and nothing at 1.6; where rows are dear, few are verified, and those are better the first guesses.
 */
const branchedRows = { drafts: 8, stepsMax: 1.5 }

/** What was asked for one sequence, and what came. */
interface Draft {
  readonly method: ProposerMethod
  readonly askedDepth: number
  nodes: readonly DraftNode[]
  cut: number
}

/** The step that is being decided and run. */
interface Round {
  readonly running: readonly RunningSequence[]
  readonly contextTokens: number
  readonly promptTokens: number
  readonly drafts: Map<number, Draft>
  readonly prices: StepPrices
  /** Keys that draft although it does not pay, and how many tokens. */
  readonly probed: Map<number, number>
}

export function createGoodputController(options: ShapeCostsOptions): SpeculationController {
  return new GoodputController(options)
}

class GoodputController implements SpeculationController {
  readonly #costs: ShapeCosts
  readonly #draftCost = new DraftCost()
  readonly #acceptance = new Acceptance()
  readonly #methods = new MethodChoice(this.#acceptance)
  readonly #looks = new LookWorth()
  readonly #probing = new Probing()
  #round: Round | null = null

  constructor(options: ShapeCostsOptions) {
    this.#costs = new ShapeCosts(options)
  }

  asks(running: readonly RunningSequence[], step: StepFacts): Ask[] {
    const round = this.#newRound(running, step)
    this.#round = round
    if (running.every(({ tokensMax }) => tokensMax <= 0)) return []
    const relative = this.#relativePrices(round)
    const methods = running.map((sequence) =>
      sequence.tokensMax > 0 ? this.#methods.choose(sequence, relative) : null,
    )
    const problem = this.#problemBefore(round, methods, step)
    const plan = planLengths(problem)
    const isFree = methods.map((method) => method !== null && this.#isFreeLook(method, round))
    this.#probe(round, problem, {
      plan,
      // What is looked at for free is probed, if at all, once its proposals are seen.
      keys: running.map(({ key }, i) => (methods[i] === null || isFree[i] ? null : key)),
    })
    return running.flatMap(({ key, tokensMax: sequenceMax }, i): Ask[] => {
      const method = methods[i] ?? null
      const planned = Math.min(sequenceMax, round.probed.get(key) ?? plan.lengths[i] ?? 0)
      const tokensMax = isFree[i] ? (problem.gains[i]?.length ?? 0) : planned
      if (method === null || tokensMax === 0) return []
      const depthMax = depthToAsk(method, tokensMax, paysBranches(relative) ? step : chainsOnly)
      round.drafts.set(key, { method, askedDepth: depthMax, nodes: [], cut: 0 })
      return [{ key, method, tokensMax, depthMax }]
    })
  }

  cuts(running: readonly RunningSequence[], proposals: readonly Proposal[], step: StepFacts): Cut[] {
    const round = this.#round
    if (round === null) return []
    for (const proposal of proposals) {
      const draft = round.drafts.get(proposal.key)
      if (draft !== undefined) draft.nodes = nodesOf(proposal, this.#acceptance)
    }
    const gains = running.map((sequence) => gainsOf(sequence, round.drafts.get(sequence.key)?.nodes ?? []))
    const problem = { gains, rowsMax: step.rowsMax, prices: round.prices, draftMs: () => 0 }
    const plan = planLengths(problem)
    const plain = evaluate(
      problem,
      running.map(() => 0),
    )
    const methods = [...round.drafts.values()].map(({ method }) => method)
    if (methods.length > 0) this.#looks.seen(methods, plan.tokens / plain.goodput - plan.ms)
    for (const [i, { key }] of running.entries()) if ((plan.lengths[i] ?? 0) > 0) round.probed.delete(key)
    this.#probe(round, problem, {
      plan,
      keys: running.map(({ key }, i) => (gains[i]?.length === 0 || round.probed.has(key) ? null : key)),
    })
    return running.flatMap(({ key }, i) => {
      const draft = round.drafts.get(key)
      if (draft === undefined) return []
      draft.cut = Math.min(draft.nodes.length, round.probed.get(key) ?? plan.lengths[i] ?? 0)
      return [{ key, nodes: draft.cut }]
    })
  }

  learn(outcome: StepOutcome): void {
    const round = this.#round
    if (round === null) return
    this.#round = null
    const verified = new Map(outcome.rounds.map((one) => [one.key, one.verified]))
    const counts = round.running.map(({ key }) => 1 + (verified.get(key) ?? round.drafts.get(key)?.cut ?? 0))
    this.#costs.observe({ ...round, counts }, outcome.decodeMs)
    this.#learnDraftCost(round, outcome)
    for (const one of outcome.rounds) this.#learnRound(round, one)
    const tried = new Set(outcome.rounds.filter(({ depth }) => depth > 0).map(({ key }) => key))
    this.#probing.stepped({
      keys: round.running.map(({ key }) => key),
      tried,
      paying: new Set([...tried].filter((key) => !round.probed.has(key))),
      ms: outcome.decodeMs,
    })
  }

  forget(key: number): void {
    this.#acceptance.forget(key)
    this.#methods.forget(key)
    this.#probing.forget(key)
  }

  #probe(round: Round, problem: LengthProblem, offer: Pick<ProbeOffer, 'plan' | 'keys'>): void {
    const { indexes, length } = this.#probing.choose({
      ...offer,
      evaluate: (lengths) => evaluate(problem, lengths),
      trials: (i, trialLength) =>
        (problem.gains[i] ?? []).slice(0, trialLength - 1).reduce((sum, gain) => sum + gain, 1),
    })
    for (const i of indexes) round.probed.set(round.running[i]?.key ?? -1, length)
  }

  #newRound(running: readonly RunningSequence[], { promptTokens }: StepFacts): Round {
    const cells = running.reduce((sum, { contextTokens }) => sum + contextTokens, 0)
    const contextTokens = running.length === 0 ? 0 : cells / running.length
    const prices = this.#costs.pricesAt({ sequences: running.length, contextTokens, promptTokens })
    return { running, contextTokens, promptTokens, prices, drafts: new Map(), probed: new Map() }
  }

  #problemBefore(round: Round, methods: readonly (ProposerMethod | null)[], { rowsMax }: StepFacts): LengthProblem {
    const gains = round.running.map((sequence, i) => {
      const method = methods[i] ?? null
      if (method === null) return []
      const expected = this.#acceptance.expectedGains(method, sequence.key, Math.min(sequence.tokensMax, lengthMax))
      return expected.map((gain, depth) => (depth < gainMaxOf(sequence) ? gain : 0))
    })
    const present = [...new Set(methods)].filter((method) => method !== null)
    const draftMs = (lengths: readonly number[]) =>
      present.reduce((ms, method) => ms + this.#draftCost.predictMs(method, roundOf(methods, lengths, method)), 0)
    return { gains, rowsMax, prices: round.prices, draftMs }
  }

  #relativePrices({ running, prices }: Round): Prices {
    const sequences = running.length
    const plainMs = prices.passMs(sequences)
    return {
      stepRatio: (length) => prices.passMs(sequences * (1 + length)) / plainMs,
      draftRatio: (method, depth) => this.#draftCost.predictMs(method, { sequences, depth }) / plainMs,
    }
  }

  #isFreeLook(method: ProposerMethod, { running, prices }: Round): boolean {
    if (this.#acceptance.spreadOf(method) < selectiveSpread) return false
    const sequences = running.length
    const costMs = this.#draftCost.predictMs(method, { sequences, depth: 1 })
    const savedMs = lookups.has(method) ? sequences * (this.#looks.of(method) ?? 0) : 0
    return costMs <= freeShare * prices.passMs(sequences) || savedMs >= lookGain * costMs
  }

  #learnDraftCost(round: Round, { draftMs }: StepOutcome): void {
    const byMethod = Map.groupBy(round.drafts.values(), ({ method }) => method)
    for (const [method, drafts] of byMethod) {
      const ms = draftMs[method]
      if (ms === undefined) continue
      const depth = Math.max(1, ...drafts.map(({ nodes }) => deepest(nodes)))
      this.#draftCost.observe(method, { sequences: drafts.length, depth }, ms)
    }
  }

  #learnRound(round: Round, outcome: RoundOutcome): void {
    const draft = round.drafts.get(outcome.key)
    if (draft === undefined) return
    const { key, method } = outcome
    const { nodes, askedDepth } = draft
    this.#methods.asked(key, method, nodes.length)
    this.#acceptance.asked({ method, key, askedDepth, proposedDepth: deepest(nodes), firstChance: nodes[0]?.gain ?? 0 })
    const tried = triedNodes(nodes, outcome)
    if (tried === null) return this.#acceptance.reachedDepth(method, outcome)
    for (const { node, taken } of tried) this.#acceptance.tried(method, key, { ...node, taken })
    const next = nodes[outcome.verified]
    const isReached = outcome.accepted === outcome.verified && isChain(nodes)
    if (isReached && next !== undefined) this.#acceptance.cutOff(method, next)
  }
}

/** A token behind the last one that the sequence may gain is verified for the shape of the batch alone. */
function gainsOf(sequence: RunningSequence, nodes: readonly DraftNode[]): number[] {
  return nodes.map(({ depth, gain }) => (depth <= gainMaxOf(sequence) ? gain : 0))
}

const gainMaxOf = ({ gainMax, tokensMax }: RunningSequence) => gainMax ?? tokensMax

const chainsOnly = { forksMax: 0 }
const paysBranches = (prices: Prices) => prices.stepRatio(branchedRows.drafts) <= branchedRows.stepsMax

/** Proposers run one after the other; each computes its sequences together, to the depth of the longest. */
function roundOf(
  methods: readonly (ProposerMethod | null)[],
  lengths: readonly number[],
  method: ProposerMethod,
): { sequences: number; depth: number } {
  let sequences = 0
  let depth = 0
  for (const [i, length] of lengths.entries()) {
    if (length === 0 || methods[i] !== method) continue
    sequences += 1
    depth = Math.max(depth, length)
  }
  return { sequences, depth }
}

/** Nodes whose parent was taken, and which of them were; null where a tree's path is not known. */
function triedNodes(nodes: readonly DraftNode[], outcome: RoundOutcome): { node: DraftNode; taken: boolean }[] | null {
  const { accepted, depth, path } = outcome
  if (path === undefined && !isChain(nodes.slice(0, outcome.verified))) return null
  if (path === undefined)
    return nodes.slice(0, Math.min(accepted + 1, depth)).map((node, i) => ({ node, taken: i < accepted }))
  const onPath = new Set(path)
  return nodes.slice(0, outcome.verified).flatMap((node, i) => {
    const isReached = node.depth <= depth && (node.parent < 0 || onPath.has(node.parent))
    return isReached ? [{ node, taken: onPath.has(i) }] : []
  })
}

const isChain = (nodes: readonly DraftNode[]) => nodes.every(({ parent }, i) => parent === i - 1)
const deepest = (nodes: readonly DraftNode[]) => nodes.reduce((max, { depth }) => Math.max(max, depth), 0)
