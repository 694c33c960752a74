/**
 * Speculation in the steps of one engine: asks the controller whom to draft for, the proposers for tokens, and tells the controller
 * what came of it. Sole owner of controller, proposers and what was drafted for the step that runs.
 *
 * Lossless whatever it proposes, because the engine chooses every token as if there had been no draft. So nothing in here may end
 * a request: a proposer that fails or answers nonsense is dropped for the rest of this worker's life and everything goes on
 * without it. While speculation is off or nobody can propose, a step costs one comparison.
 */
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import type { StepShape } from '#algorithms/costCurve.ts'
import type { WorkerRecord } from '#contracts/records.ts'
import type { LiveSpeculation } from '#contracts/resources/modelDeployment.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { faultOf, verifiable } from './core/speculation/chain.ts'
import type {
  Ask,
  RoundOutcome,
  RunningSequence,
  SpeculationController,
  StepFacts,
} from './core/speculation/controller.ts'
import { figuresOf } from './core/speculation/figures.ts'
import type { Drawing, Proposal, ProposalRequest, ProposerMethod } from './core/speculation/proposer.ts'
import type { Hint } from './core/speculation/proposers/hintLookup.ts'
import { emptyTree, isChain, nodesToDepth, type TokenTree } from './core/speculation/tokenTree.ts'
import { leavesOf } from './core/speculation/treeSequences.ts'
import type { Meter } from './meter.ts'
import type { Proposer } from './proposer.ts'
import type { Judgement } from './verification.ts'

/** A running sequence that may draft. */
export interface Candidate {
  readonly key: number
  readonly tokens: readonly number[]
  /** Tokens of draft that its context has room for. */
  readonly room: number
  /** Tokens it may gain beyond the one that every step gives: limited by its `max_tokens`. */
  readonly gainMax: number
  /** How its drafts are to be drawn (`core/speculation/verifierChoice.ts`); null: the likeliest tokens. */
  readonly drawing: Drawing | null
  /** What its answer may repeat; absent: nothing came along. */
  readonly hint?: Hint
}

/** What to verify behind a sequence's last token, by its key; a sequence that is not in it runs without a draft. */
export type Drafts = ReadonlyMap<number, TokenTree>

/** What running workers follow live; the files that proposers need are given at the start. */
export type SpeculationSettings = LiveSpeculation

/** A proposer that cannot be asked, or what a draft model was to be judged by and cannot. */
export interface Dropped {
  readonly proposer: ProposerMethod | 'acceptance head'
  /** As a condition's reason is written. */
  readonly reason: string
  readonly message: string
}

/** What became of the draft of one sequence. */
export interface Judged extends Judgement {
  readonly key: number
}

export interface SpeculationOptions {
  readonly proposers: readonly Proposer[]
  /** Asked only where `method` names them. */
  readonly reserve: readonly ProposerMethod[]
  /** Those that were found unusable before the start. */
  readonly unusable: readonly Dropped[]
  readonly settings: SpeculationSettings
  readonly createController: (settings: SpeculationSettings) => SpeculationController
  readonly vocabularySize: number
  /** Paths that the trees of a step may have beyond one per sequence; 0: chains only. */
  readonly forksMax: number
  /** What a step of so many rows takes, by the cost curve. */
  readonly stepMs: (shape: StepShape) => number
  readonly meter: Meter
  readonly clock: Clock
  readonly log: Log
  /** A proposer was dropped, or the settings have changed. */
  readonly onChange: () => void
}

/** The round of one sequence, from the ask to the verdict. */
interface Round {
  readonly method: ProposerMethod
  readonly proposed: number
  readonly draft: TokenTree
}

export const noDrafts: Drafts = new Map()
/** Steps without drafts after one that found no cells for them. */
const pauseSteps = 16
/** Order of preference at equal worth: what knows most about the text first. */
const preference: readonly ProposerMethod[] = ['draft', 'trigram', 'ngram', 'simulated']

export class Speculator {
  readonly #o: SpeculationOptions
  readonly #proposers: Map<ProposerMethod, Proposer>
  /** Answers on their way. */
  readonly #asked = new Map<ProposerMethod, Promise<unknown>>()
  readonly #dropped: Dropped[]
  #settings: SpeculationSettings
  #controller: SpeculationController
  #methods: readonly ProposerMethod[] = []
  /** Of the step that runs: sequences that were asked for. */
  readonly #rounds = new Map<number, Round>()
  #running: readonly RunningSequence[] = []
  #draftMs: Partial<Record<ProposerMethod, number>> = {}
  #controlMs = 0
  #pausedSteps = 0

  constructor(options: SpeculationOptions) {
    this.#o = options
    this.#proposers = new Map(options.proposers.map((proposer) => [proposer.method, proposer]))
    this.#dropped = [...options.unusable]
    for (const { proposer } of options.unusable)
      if (proposer !== 'acceptance head') options.meter.proposerDropped(proposer)
    const { method, draftTokensMax, controller } = options.settings
    this.#settings = { method, draftTokensMax, controller }
    this.#controller = options.createController(this.#settings)
    this.#chooseMethods()
  }

  /** False: there is nothing to ask, and `draft` need not be called. */
  get isOn(): boolean {
    return this.#methods.length > 0
  }

  /** No sequence is slower with what is drafted for it than without. */
  get draftsByWorth(): boolean {
    return !this.isOn || this.#settings.controller === 'goodput'
  }

  /** For the registration. */
  get state(): NonNullable<WorkerRecord['speculation']> {
    return { ...this.#settings, proposers: [...this.#methods], dropped: [...this.#dropped] }
  }

  /** Takes effect with the next step. */
  change({ method, draftTokensMax, controller }: SpeculationSettings): void {
    const settings = { method, draftTokensMax, controller }
    if (isDeepStrictEqual(settings, this.#settings)) return
    const { createController, log, onChange } = this.#o
    if (controller !== this.#settings.controller) {
      this.#controller = createController(settings)
      this.abandon()
    }
    this.#settings = settings
    this.#chooseMethods()
    log.info({ ...settings, proposers: this.#methods }, 'speculation changed')
    onChange()
  }

  /** Drafts for the coming step. Synchronous where no proposer computes elsewhere: then a step costs no turn of the event loop. */
  draft(candidates: readonly Candidate[], batch: Omit<StepFacts, 'forksMax'>): Drafts | Promise<Drafts> {
    const step = { ...batch, forksMax: this.#o.forksMax }
    this.abandon()
    if (this.#pausedSteps > 0) {
      this.#pausedSteps -= 1
      return noDrafts
    }
    const running = candidates.map(({ key, tokens, room, gainMax }) => ({
      key,
      contextTokens: tokens.length,
      tokensMax: Math.max(0, Math.min(room, this.#settings.draftTokensMax)),
      gainMax,
      methods: this.#methods,
    }))
    this.#running = running
    const controller = this.#controller
    const asks = this.#timed(() => controller.asks(running, step))
    if (asks.length === 0) return noDrafts
    const choose = (proposals: readonly Proposal[]): Drafts => {
      const cuts = this.#timed(() => controller.cuts(running, proposals, step))
      return this.#drafts(proposals, new Map(cuts.map(({ key, nodes }) => [key, nodes])), step.rowsMax)
    }
    const answers = this.#propose(asks, new Map(candidates.map((candidate) => [candidate.key, candidate])))
    const ready = answers.flatMap((answer) => (answer instanceof Promise ? [] : answer))
    const coming = answers.filter((answer) => answer instanceof Promise)
    return coming.length === 0
      ? choose(ready)
      : Promise.all(coming).then((lists) => choose([...ready, ...lists.flat()]))
  }

  /** The step was decoded and judged. Sequences that ended before their rows were read are in neither list. */
  settle(judged: readonly Judged[], decodeMs: number): void {
    if (this.#running.length === 0) return
    const rounds = judged.flatMap((verdict) => this.#outcomeOf(verdict) ?? [])
    const plain = this.#running.map(({ key }) => key).filter((key) => !this.#rounds.has(key))
    const draftMs = this.#draftMs
    this.#timed(() => this.#controller.learn({ rounds, plain, draftMs, decodeMs }))
    this.#tell(rounds)
    this.abandon()
  }

  /** Nothing is learned from the step that was drafted for. */
  abandon(): void {
    this.#rounds.clear()
    this.#running = []
    this.#draftMs = {}
    this.#controlMs = 0
  }

  /** There were no cells for the drafts of a step: none are proposed for a while. */
  pause(): void {
    this.#pausedSteps = pauseSteps
  }

  /** The sequence has ended, or lost its place. */
  forget(key: number): void {
    this.#controller.forget(key)
    for (const proposer of this.#proposers.values()) proposer.forget(key)
  }

  /** Without this proposer from now on, whatever it would have been worth. What it was asked already is still taken; then it is freed. */
  giveUp(method: ProposerMethod, why: Pick<Dropped, 'reason' | 'message'>): void {
    const proposer = this.#proposers.get(method)
    if (proposer === undefined) return
    this.#proposers.delete(method)
    this.#dropped.push({ proposer: method, ...why })
    this.#o.meter.proposerDropped(method)
    this.#chooseMethods()
    this.#o.onChange()
    const close = () => proposer.close?.()
    const asked = this.#asked.get(method)
    if (asked === undefined) close()
    else void asked.then(close, close)
  }

  /** Whether this proposer is there to be asked. */
  has(method: ProposerMethod): boolean {
    return this.#proposers.has(method)
  }

  #chooseMethods(): void {
    const { method } = this.#settings
    const usable = preference.filter((name) => this.#proposers.has(name))
    this.#methods = method === 'off' ? [] : usable.filter((name) => this.#isWanted(name))
  }

  /** The simulated draft stands for a draft model. */
  #isWanted(name: ProposerMethod): boolean {
    const { method } = this.#settings
    if (method === 'auto') return !this.#o.reserve.includes(name)
    return name === 'simulated' ? method === 'draft' : method === name
  }

  #propose(asks: readonly Ask[], candidates: ReadonlyMap<number, Candidate>): (Proposal[] | Promise<Proposal[]>)[] {
    return [...Map.groupBy(asks, ({ method }) => method)].map(([method, asked]) => {
      const requests = asked.map((ask) => {
        const candidate = candidates.get(ask.key)
        assert(candidate !== undefined, `the controller asks for sequence ${ask.key}, which does not run`)
        const { tokens, drawing, hint } = candidate
        return { ...ask, tokens, ...(drawing === null ? {} : { drawing }), ...(hint === undefined ? {} : { hint }) }
      })
      return this.#ask(method, requests)
    })
  }

  #ask(method: ProposerMethod, requests: readonly ProposalRequest[]): Proposal[] | Promise<Proposal[]> {
    const proposer = this.#proposers.get(method)
    if (proposer === undefined) return []
    const { clock } = this.#o
    const startedAt = clock.now()
    const take = (proposals: Proposal[]) => {
      this.#draftMs[method] = clock.now() - startedAt
      return this.#checked(method, proposals, requests)
    }
    const fail = (error: unknown) => this.#drop(method, error)
    try {
      const answer = proposer.propose(requests)
      return Array.isArray(answer) ? take(answer) : this.#awaited(method, answer).then(take).catch(fail)
    } catch (error) {
      return fail(error)
    }
  }

  #awaited<T>(method: ProposerMethod, answer: Promise<T>): Promise<T> {
    this.#asked.set(method, answer)
    return answer.finally(() => this.#asked.delete(method))
  }

  #checked(method: ProposerMethod, proposals: Proposal[], requests: readonly ProposalRequest[]): Proposal[] {
    const { vocabularySize } = this.#o
    const fault = faultOf(proposals, requests, { method, vocabularySize })
    return fault === null ? proposals : this.#drop(method, new Error(`the proposer answered nonsense: ${fault}`))
  }

  /** Without it from now on. Whatever it threw: a draft is never worth a request. */
  #drop(method: ProposerMethod, error: unknown): [] {
    this.#o.log.error({ error, method }, 'a proposer of draft tokens failed and is not asked again')
    this.giveUp(method, { reason: 'ProposerFailed', message: error instanceof Error ? error.message : String(error) })
    return []
  }

  #drafts(proposals: readonly Proposal[], nodes: ReadonlyMap<number, number>, rowsMax: number): Drafts {
    const drafts = new Map<number, TokenTree>()
    let rows = 0
    let forks = 0
    // Draws come first: what is left for them must not follow from how others were cut beside them.
    for (const { key, method, tree } of proposals.toSorted((a, b) => drawnFirst(a) - drawnFirst(b))) {
      // What was drawn is verified whole: cut by what it turned out to be, it would no longer follow its laws.
      const wanted = tree.laws === null ? (nodes.get(key) ?? 0) : tree.tokens.length
      const draft = verifiable(tree, {
        nodes: Math.min(wanted, rowsMax - rows),
        forksMax: this.#o.forksMax - forks,
      })
      rows += draft.tokens.length
      forks += Math.max(0, leavesOf(draft).length - 1)
      this.#rounds.set(key, { method, proposed: tree.tokens.length, draft })
      if (draft.tokens.length > 0) drafts.set(key, draft)
    }
    return drafts
  }

  #outcomeOf({ key, accepted, judged, path }: Judged): RoundOutcome | null {
    const round = this.#rounds.get(key)
    if (round === undefined) return null
    const { method, proposed, draft } = round
    const outcome = { key, method, proposed, verified: draft.tokens.length, accepted, depth: judged }
    return isChain(draft) ? outcome : { ...outcome, path }
  }

  #tell(rounds: readonly RoundOutcome[]): void {
    const figures = figuresOf({
      running: this.#running,
      chosen: new Map([...this.#rounds].map(([key, { draft }]) => [key, draft.tokens.length])),
      rounds,
      drafted: new Map(this.#running.map(({ key, gainMax }) => [key, this.#draftedFor(key, gainMax)])),
      draftMs: Object.values(this.#draftMs).reduce((sum, ms) => sum + ms, 0),
      stepMs: this.#o.stepMs,
    })
    this.#o.meter.speculated(figures, this.#controlMs)
  }

  /** The token that every step gives may be a draft too. */
  #draftedFor(key: number, gainMax = Number.POSITIVE_INFINITY): number {
    return nodesToDepth(this.#rounds.get(key)?.draft ?? emptyTree, gainMax + 1)
  }

  #timed<T>(decide: () => T): T {
    const startedAt = this.#o.clock.now()
    const decision = decide()
    this.#controlMs += this.#o.clock.now() - startedAt
    return decision
  }
}

const drawnFirst = ({ tree }: Proposal) => (tree.laws === null ? 1 : 0)
