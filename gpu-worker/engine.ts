/**
 * The engine loop: plan → draft → decode → verify → commit → emit. The only caller of the runner's `decode`.
 *
 * One decode per step holds the rows of every running sequence and a share of the waiting prompts. The text and messages of a step
 * are made while the next one computes on another thread; a brief step is computed on this one instead, because the hand-over would
 * cost more than it saves, with one turn of the event loop between two of them. Requests and cancels come in at any
 * time and take effect between two steps. A fault of one request ends that request; a fault of a decode ends those that were in it.
 * Every accepted job gets exactly one `final`, and afterwards nothing of it is left: no slot, no grammar, no timer.
 */
import { Failure } from '#contracts/failure.ts'
import type { DispatchId } from '#contracts/ids.ts'
import type { Cancel } from '#contracts/messages.ts'
import { type Clock, nextTurn } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { candidateOf, draftsThatCouldBeText } from './candidates.ts'
import { planSpans, type SpanPlan } from './core/scheduler.ts'
import { advance, loseCells } from './core/sequence.ts'
import { emptyTree, isChain } from './core/speculation/tokenTree.ts'
import type { EmbeddingQueue } from './embeddingQueue.ts'
import type { Choice, GenerateRequest, Job } from './job.ts'
import type { Jobs } from './jobs.ts'
import type { Meter } from './meter.ts'
import type { DecodeResult, ModelRunner } from './modelRunner.ts'
import type { Outbox } from './outbox.ts'
import type { Pace } from './pace.ts'
import type { Placement } from './placement.ts'
import { type Drafts, type Judged, noDrafts, type Speculator } from './speculator.ts'
import { batchSpan, shapeOf, type Span } from './step.ts'
import { type Judgement, Verification } from './verification.ts'

export interface EngineOptions {
  readonly runner: ModelRunner
  readonly clock: Clock
  readonly log: Log
  readonly outbox: Outbox
  readonly jobs: Jobs
  readonly placement: Placement
  readonly embeddings: EmbeddingQueue
  readonly pace: Pace
  readonly meter: Meter
  readonly speculator: Speculator
  /** Prompt tokens of one step while other sequences run. */
  readonly chunkTokensMax: number
  readonly idleWork?: IdleWork
}

/** What may use the runner while nobody else wants it; it must stop between two decodes once `mayContinue` says no. */
export interface IdleWork {
  isDue(): boolean
  run(mayContinue: () => boolean): Promise<void>
}

/** Idle work starts after this much rest, so that it does not stand in the way of the next request of a conversation. */
const restMsMin = 250

/**
 * A neighbour on the same CPUs can make a step a hundred times longer than expected, and a worker that says nothing for seconds is
 * given up. After a step of this length none holds the event loop for a while, so the next one cannot do it again.
 */
const overrunMsMin = 100
const overrunPauseMs = 5_000

/** Prompt tokens of one step while nothing else runs: one micro-batch of llama.cpp; more would only delay who comes next. */
const idleChunkTokensMax = 512

type StepResult = DecodeResult | { readonly kind: 'failed'; readonly failure: Failure }

export class Engine {
  readonly #o: EngineOptions
  readonly #verification: Verification
  readonly #untold = new Set<Job>()
  readonly #idleWaiters: (() => void)[] = []
  #inStep: readonly Span[] | null = null
  #isStopped = false
  /** When steps may hold the event loop again. */
  #briefFrom = 0
  #plannedAt = 0
  #wake = Promise.withResolvers<void>()

  constructor(options: EngineOptions) {
    this.#o = options
    const { runner, meter, clock } = options
    this.#verification = new Verification({ vocabularySize: runner.info.vocabularySize, meter, clock })
  }

  submit(request: GenerateRequest): void {
    this.#o.jobs.submit(request, this.#o.clock.now())
    this.wake()
  }

  /** False where no such request runs. Takes effect within the step; a step that serves nobody else is broken off. */
  cancel(id: DispatchId, reason: Cancel['reason']): boolean {
    const { jobs, embeddings, runner } = this.#o
    const isKnown = jobs.requestEnd(id, { kind: 'cancelled', reason }) || embeddings.cancel(id, reason)
    if (this.#inStep?.every(({ choice }) => choice.job.end !== null)) runner.abort()
    this.wake()
    return isKnown
  }

  get isIdle(): boolean {
    return this.#o.jobs.size === 0 && this.#untold.size === 0 && this.#o.embeddings.size === 0
  }

  /** Resolves once nothing runs and everything has been told. */
  async whenIdle(): Promise<void> {
    if (!this.isIdle) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve))
  }

  /** Something has changed that a sleeping loop must look at. */
  wake(): void {
    this.#wake.resolve()
  }

  /** Ends the loop within a step; jobs that still run are not told anything: cancel them first. */
  stop(): void {
    this.#isStopped = true
    this.#o.runner.abort()
    this.wake()
  }

  /** Runs until `stop`. Rejects only with a bug. */
  async run(): Promise<void> {
    let isHolding = false
    while (!this.#isStopped) {
      if (isHolding) await this.#breathe()
      const plans = this.#plan()
      const drafting = this.#draft(plans)
      const step = this.#spansOf(plans, drafting instanceof Promise ? await drafting : drafting)
      const isBrief = this.#isBrief(step)
      if (isBrief && !isHolding) await this.#breathe()
      isHolding = isBrief
      const decoding = step.length === 0 ? null : this.#decode(step, isBrief)
      if (!isBrief) this.#emit()
      if (decoding !== null) this.#commit(step, await decoding)
      else if (this.#o.embeddings.size === 0) await this.#rest()
      if (this.#o.embeddings.size > 0) await this.#o.embeddings.runSlice()
    }
  }

  /** Short enough to hold the event loop for: it saves the hand-over to another thread and back. */
  #isBrief(step: readonly Span[]): boolean {
    const { clock, runner, pace } = this.#o
    if (runner.briefMsMax === 0 || step.length === 0 || step.some(({ count }) => count > 1)) return false
    return clock.now() >= this.#briefFrom && pace.predictStepMs(shapeOf(step)) <= runner.briefMsMax
  }

  /** Before the event loop is held: what there is to tell goes out, and what has come in is taken. */
  async #breathe(): Promise<void> {
    this.#sweep()
    this.#emit()
    // Not at the end of this turn, as usual: the bus must have it before the turn begins in which it sends.
    this.#o.outbox.flush()
    await nextTurn()
  }

  async #rest(): Promise<void> {
    const { clock, idleWork } = this.#o
    if (this.isIdle) for (const resolve of this.#idleWaiters.splice(0)) resolve()
    let hasRested = false
    const timer = idleWork?.isDue()
      ? clock.after(restMsMin, () => {
          hasRested = true
          this.wake()
        })
      : null
    await this.#wake.promise
    timer?.cancel()
    this.#wake = Promise.withResolvers<void>()
    const mayContinue = () => this.isIdle && !this.#isStopped
    if (hasRested && mayContinue()) await idleWork?.run(mayContinue)
  }

  /** Ends, admits and compacts, then gives every sequence its share of the step. */
  #plan(): SpanPlan[] {
    const { clock, jobs, meter, placement, runner } = this.#o
    const startedAt = clock.now()
    this.#plannedAt = startedAt
    this.#sweep()
    jobs.fillSlots(startedAt)
    jobs.closeHole()
    const spans = planSpans(placement.views(), {
      batchTokensMax: runner.batchTokensMax,
      chunkTokensMax: this.#o.chunkTokensMax,
      idleChunkTokensMax: Math.max(idleChunkTokensMax, this.#o.chunkTokensMax),
      evenChunks: runner.avoidsLoneRows === true,
    })
    if (spans.length > 0) meter.phase('plan', clock.now() - startedAt)
    return spans
  }

  #sweep(): void {
    for (const job of this.#o.jobs.sweep(this.#o.clock.now())) this.#untold.add(job)
  }

  /** What to verify behind the last tokens of the running sequences, in the rows that the plan has left. */
  #draft(plans: readonly SpanPlan[]): Drafts | Promise<Drafts> {
    const { jobs, runner, speculator } = this.#o
    // Drafts come in all lengths, and a pass of some may be left with one row.
    if (!speculator.isOn || runner.avoidsLoneRows === true) return noDrafts
    const running = plans.filter(({ count, samples }) => count === 1 && samples)
    const choices = running.map(({ slot }) => jobs.choiceIn(slot)).filter(({ job }) => job.end === null)
    const tokens = plans.reduce((sum, { count }) => sum + count, 0)
    const lawsPay = this.#verification.lawsPay({ sequences: choices.length, stepMs: this.#stepMsOf(choices) })
    const { contextTokensMax } = runner.info
    const candidates = choices.map((choice) => candidateOf(choice, { contextTokensMax, lawsPay }))
    return speculator.draft(candidates, {
      promptTokens: tokens - running.length,
      rowsMax: runner.batchTokensMax - tokens,
    })
  }

  /** What a step of these takes that drafts nothing. */
  #stepMsOf(choices: readonly Choice[]): number {
    const cells = choices.reduce((sum, { sequence }) => sum + sequence.tokens.length, 0)
    return this.#o.pace.predictStepMs({ rows: choices.length, contextTokens: cells / Math.max(1, choices.length) })
  }

  #spansOf(plans: readonly SpanPlan[], drafts: Drafts): Span[] {
    return plans.map((plan) => {
      const choice = this.#o.jobs.choiceIn(plan.slot)
      return { ...plan, choice, draft: drafts.get(choice.sequence.number) ?? emptyTree }
    })
  }

  /** A `Failure` of the runner is a result like any other. */
  async #decode(step: readonly Span[], isBrief: boolean): Promise<StepResult> {
    this.#inStep = step
    const { clock, runner } = this.#o
    const startedAt = clock.now()
    try {
      const result = await runner.decode(step.map(batchSpan), { isBrief })
      const now = clock.now()
      if (isBrief && now - startedAt > overrunMsMin) this.#briefFrom = now + overrunPauseMs
      return result
    } catch (failure) {
      if (failure instanceof Failure) return { kind: 'failed', failure }
      throw failure
    } finally {
      this.#inStep = null
    }
  }

  #commit(step: readonly Span[], result: StepResult): void {
    if (result.kind !== 'decoded') this.#o.speculator.abandon()
    switch (result.kind) {
      case 'decoded':
        return this.#commitRows(step, result.decodeMs)
      case 'aborted':
        return this.#undo(step)
      case 'no-cells':
        this.#undo(step)
        return this.#makeRoom(step)
      case 'failed':
        return this.#endAll(step, result.failure)
      default:
        return result satisfies never
    }
  }

  #commitRows(step: readonly Span[], decodeMs: number): void {
    const { clock, meter, pace, speculator } = this.#o
    const decodedAt = clock.now()
    const shape = shapeOf(step)
    const judged: Judged[] = []
    let row = 0
    let gained = 0
    for (const span of step) {
      const judgement = this.#commitSpan(span, row)
      if (span.samples) row += 1 + span.draft.tokens.length
      if (judgement === null) continue
      gained += judgement.gained
      judged.push({ key: span.choice.sequence.number, ...judgement })
    }
    speculator.settle(judged, decodeMs)
    const now = clock.now()
    pace.stepped({ ...shape, decodeMs, gained, sampled: judged.length, wholeMs: now - this.#plannedAt }, now)
    meter.step(shape.rows + shape.promptTokens)
    meter.phase('decode', decodeMs)
    meter.phase('sample', now - decodedAt)
  }

  /** What became of the sequence; null where it gained nothing. */
  #commitSpan(span: Span, firstRow: number): Judgement | null {
    const { choice, slot, draft } = span
    const { runner } = this.#o
    if (choice.job.end !== null) {
      runner.truncate(slot, choice.sequence.computed)
      return null
    }
    advance(choice.sequence, span.count)
    if (!span.samples) return null
    const couldBeText = draftsThatCouldBeText(span)
    const judgement = this.#verification.judge(span, (node) => runner.logits(firstRow + 1 + node))
    if (draft.tokens.length > 0) this.#keepAccepted(span, judgement)
    if (judgement.failure !== null) {
      choice.job.end = { kind: 'failed', failure: judgement.failure }
      return null
    }
    choice.job.draftTokens += couldBeText
    choice.job.acceptedTokens += judgement.accepted
    this.#gained(choice, judgement.gained)
    return judgement
  }

  /** The token after the last accepted draft has no cell yet, and where the sequence ended with a draft that one needs none. */
  #keepAccepted({ choice, slot, draft, position, count }: Span, { path }: Judgement): void {
    const { computed } = choice.sequence
    if (isChain(draft)) this.#o.runner.truncate(slot, computed)
    else this.#o.runner.keepPath(slot, path.slice(0, computed - position - count))
  }

  #gained(choice: Choice, tokens: number): void {
    const { clock, meter, jobs } = this.#o
    const { job } = choice
    const now = clock.now()
    if (job.times.firstTokenAt === null) {
      job.times.firstTokenAt = now
      meter.firstToken(job, now)
    }
    meter.tokens(tokens, choice.lastTokenAt === null ? null : now - choice.lastTokenAt)
    choice.lastTokenAt = now
    job.times.lastTokenAt = now
    this.#untold.add(job)
    if (choice.finish === null) return
    jobs.endChoice(choice)
    if (job.isFinished) job.end = { kind: 'completed' }
  }

  /** Removes what a broken-off step may have left in the cells. */
  #undo(step: readonly Span[]): void {
    for (const { slot, position } of step) this.#o.runner.truncate(slot, position)
  }

  #makeRoom(step: readonly Span[]): void {
    // Drafts give way before sequences do.
    if (step.some(({ draft }) => draft.tokens.length > 0)) return this.#o.speculator.pause()
    if (this.#o.jobs.preemptYoungest() !== null) return
    for (const { choice } of step) {
      const message = `the KV cache has no room for one sequence of ${choice.sequence.tokens.length} tokens`
      choice.job.end = { kind: 'failed', failure: new Failure('engine-fault', message) }
    }
  }

  /** The step broke: nobody knows what its cells hold now. */
  #endAll(step: readonly Span[], failure: Failure): void {
    this.#o.log.error({ error: failure, sequences: step.length }, 'a step of the engine failed')
    for (const { choice, slot } of step) {
      this.#o.runner.truncate(slot, 0)
      loseCells(choice.sequence)
      choice.job.end ??= { kind: 'failed', failure }
    }
  }

  #emit(): void {
    if (this.#untold.size === 0) return
    const { clock, meter } = this.#o
    const startedAt = clock.now()
    for (const job of this.#untold) this.#tell(job, startedAt)
    this.#untold.clear()
    meter.phase('emit', clock.now() - startedAt)
  }

  #tell(job: Job, now: number): void {
    const { outbox, meter, jobs } = this.#o
    const deltas = job.takeDeltas()
    // What has ended was swept before this: only then its slots are free, and a router may count on them.
    if (job.end === null || jobs.has(job)) {
      if (deltas.length > 0) outbox.delta(job.request.id, deltas)
      return
    }
    outbox.final(job.request.id, deltas, job.outcome(job.end, now))
    meter.ended(job, now)
    job[Symbol.dispose]()
  }
}
