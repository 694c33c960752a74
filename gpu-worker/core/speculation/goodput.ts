/**
 * The controller that maximises token goodput (SmartSpec, arXiv 2406.14066): each step, expected tokens over predicted time.
 *
 * Before drafting it decides with what it expects of each sequence and method, after drafting once more with what the proposals say
 * of themselves; the time of drafting is then spent and no longer counts. What costs next to nothing and says sometimes more and
 * sometimes less of itself (n-grams) is asked for always, and the second decision alone counts. Where nothing pays nobody is asked, but for
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
import { DraftCost } from './draftCost.ts'
import { evaluate, type LengthProblem, planLengths } from './lengths.ts'
import { MethodChoice, type Prices } from './methodChoice.ts'
import { type DraftNode, nodesOf } from './nodes.ts'
import { Probing } from './probing.ts'
import type { Proposal, ProposerMethod } from './proposer.ts'
import { ShapeCosts, type ShapeCostsOptions } from './shapes.ts'

/** A round of proposals is free where it takes no more than this share of a step. */
const freeShare = 0.002
/** Proposals differ where the chance of their first token strays this far from its mean. */
const selectiveSpread = 0.05
const lengthMax = 64

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
  /** Keys that draft although it does not pay. */
  readonly probed: Set<number>
}

export function createGoodputController(options: ShapeCostsOptions): SpeculationController {
  return new GoodputController(options)
}

class GoodputController implements SpeculationController {
  readonly #costs: ShapeCosts
  readonly #draftCost = new DraftCost()
  readonly #acceptance = new Acceptance()
  readonly #methods = new MethodChoice(this.#acceptance)
  readonly #probing = new Probing()
  #round: Round | null = null

  constructor(options: ShapeCostsOptions) {
    this.#costs = new ShapeCosts(options)
  }

  asks(running: readonly RunningSequence[], step: StepFacts): Ask[] {
    const round = newRound(running, step)
    this.#round = round
    if (running.every(({ tokensMax }) => tokensMax <= 0)) return []
    const prices = this.#pricesOf(round)
    const methods = running.map((sequence) => (sequence.tokensMax > 0 ? this.#methods.choose(sequence, prices) : null))
    const problem = this.#problemBefore(round, methods, step)
    const plan = planLengths(problem)
    const keys = running.map(({ key }, i) => (methods[i] === null ? null : key))
    const probes = this.#probing.choose({ plan, keys, evaluate: (lengths) => evaluate(problem, lengths) })
    return running.flatMap(({ key }, i): Ask[] => {
      const method = methods[i] ?? null
      if (method === null) return []
      const isProbe = probes.includes(i)
      if (isProbe) round.probed.add(key)
      const planned = isProbe ? 1 : (plan.lengths[i] ?? 0)
      const tokensMax = this.#isFreeLook(method, round) ? (problem.gains[i]?.length ?? 0) : planned
      if (tokensMax === 0) return []
      round.drafts.set(key, { method, askedDepth: tokensMax, nodes: [], cut: 0 })
      return [{ key, method, tokensMax, depthMax: tokensMax }]
    })
  }

  cuts(running: readonly RunningSequence[], proposals: readonly Proposal[], step: StepFacts): Cut[] {
    const round = this.#round
    if (round === null) return []
    for (const proposal of proposals) {
      const draft = round.drafts.get(proposal.key)
      if (draft !== undefined) draft.nodes = nodesOf(proposal, this.#acceptance)
    }
    const gains = running.map(({ key }) => round.drafts.get(key)?.nodes.map(({ gain }) => gain) ?? [])
    const plan = planLengths({ ...this.#problemOf(round), gains, rowsMax: step.rowsMax, draftMs: () => 0 })
    return running.flatMap(({ key }, i) => {
      const draft = round.drafts.get(key)
      if (draft === undefined) return []
      const planned = plan.lengths[i] ?? 0
      if (planned > 0) round.probed.delete(key)
      draft.cut = round.probed.has(key) ? Math.min(1, draft.nodes.length) : planned
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

  #problemBefore(round: Round, methods: readonly (ProposerMethod | null)[], { rowsMax }: StepFacts): LengthProblem {
    const gains = round.running.map(({ key, tokensMax }, i) => {
      const method = methods[i] ?? null
      return method === null ? [] : this.#acceptance.expectedGains(method, key, Math.min(tokensMax, lengthMax))
    })
    return { ...this.#problemOf(round), gains, rowsMax, draftMs: (lengths) => this.#draftMs(methods, lengths) }
  }

  #problemOf(round: Round): Pick<LengthProblem, 'stepMs'> {
    return { stepMs: (counts) => this.#costs.predictMs({ ...round, counts }) }
  }

  /** Proposers run one after the other; each computes its sequences together, to the depth of the longest. */
  #draftMs(methods: readonly (ProposerMethod | null)[], lengths: readonly number[]): number {
    let ms = 0
    for (const method of new Set(methods)) {
      if (method === null) continue
      const own = lengths.filter((length, i) => length > 0 && methods[i] === method)
      ms += this.#draftCost.predictMs(method, { sequences: own.length, depth: Math.max(0, ...own) })
    }
    return ms
  }

  #pricesOf(round: Round): Prices {
    const sequences = round.running.length
    const stepMs = (length: number) => this.#costs.predictMs({ ...round, counts: round.running.map(() => 1 + length) })
    const plainMs = stepMs(0)
    const ratios: number[] = []
    return {
      stepRatio: (length) => (ratios[length] ??= stepMs(length) / plainMs),
      draftRatio: (method, depth) => this.#draftCost.predictMs(method, { sequences, depth }) / plainMs,
    }
  }

  #isFreeLook(method: ProposerMethod, round: Round): boolean {
    if (this.#acceptance.spreadOf(method) < selectiveSpread) return false
    const sequences = round.running.length
    const plainMs = this.#costs.predictMs({ ...round, counts: round.running.map(() => 1) })
    return this.#draftCost.predictMs(method, { sequences, depth: 1 }) <= freeShare * plainMs
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
    const isCutOff = outcome.verified > 0 && outcome.accepted === outcome.verified && isChain(nodes)
    if (isCutOff && next !== undefined) this.#acceptance.cutOff(method, key, next)
  }
}

function newRound(running: readonly RunningSequence[], { promptTokens }: StepFacts): Round {
  const cells = running.reduce((sum, { contextTokens }) => sum + contextTokens, 0)
  return {
    running,
    contextTokens: running.length === 0 ? 0 : cells / running.length,
    promptTokens,
    drafts: new Map(),
    probed: new Set(),
  }
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
