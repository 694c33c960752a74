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
import type { Cancel, Outcome } from '#contracts/messages.ts'
import { type Clock, nextTurn } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { planSpans, type SpanPlan } from './core/scheduler.ts'
import { advance, loseCells } from './core/sequence.ts'
import type { EmbeddingQueue } from './embeddingQueue.ts'
import type { Choice, GenerateRequest, Job, JobEnd } from './job.ts'
import type { Jobs } from './jobs.ts'
import type { Meter } from './meter.ts'
import type { BatchSpan, DecodeResult, ModelRunner } from './modelRunner.ts'
import type { Outbox } from './outbox.ts'
import type { Pace } from './pace.ts'
import type { Placement } from './placement.ts'

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
  /** Prompt tokens of one step while other sequences run. */
  readonly chunkTokensMax: number
  /** Draft tokens per running sequence, where the runner can draft. */
  readonly draftTokens: number
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

interface Span extends SpanPlan {
  readonly choice: Choice
  readonly draftTokens: readonly number[]
}

type StepResult = DecodeResult | { readonly kind: 'failed'; readonly failure: Failure }

export class Engine {
  readonly #o: EngineOptions
  readonly #untold = new Set<Job>()
  readonly #idleWaiters: (() => void)[] = []
  #inStep: readonly Span[] | null = null
  #isStopped = false
  /** When steps may hold the event loop again. */
  #briefFrom = 0
  #wake = Promise.withResolvers<void>()

  constructor(options: EngineOptions) {
    this.#o = options
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
      const step = this.#draft(this.#plan())
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
    this.#sweep()
    jobs.fillSlots(startedAt)
    jobs.closeHole()
    const spans = planSpans(placement.views(), {
      batchTokensMax: runner.batchTokensMax,
      chunkTokensMax: this.#o.chunkTokensMax,
      idleChunkTokensMax: Math.max(idleChunkTokensMax, this.#o.chunkTokensMax),
      contextTokensMax: runner.info.contextTokensMax,
      draftTokens: runner.draft === undefined ? 0 : this.#o.draftTokens,
    })
    if (spans.length > 0) meter.phase('plan', clock.now() - startedAt)
    return spans
  }

  #sweep(): void {
    for (const job of this.#o.jobs.sweep(this.#o.clock.now())) this.#untold.add(job)
  }

  #draft(plans: readonly SpanPlan[]): Span[] {
    const { jobs, runner } = this.#o
    const spans = plans.map((plan) => ({ ...plan, choice: jobs.choiceIn(plan.slot), draftTokens: [] as number[] }))
    const drafting = spans.filter((span) => span.draft > 0)
    if (drafting.length === 0 || runner.draft === undefined) return spans
    const proposed = runner.draft(
      drafting.map(({ slot, choice, draft }) => ({ slot, history: choice.sequence.tokens, count: draft })),
    )
    for (const [i, span] of drafting.entries()) span.draftTokens = proposed[i] ?? []
    return spans
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
    const { clock, meter, pace } = this.#o
    const decodedAt = clock.now()
    const shape = shapeOf(step)
    let row = 0
    let gained = 0
    let draftAccepted = 0
    for (const span of step) {
      const tokens = this.#commitSpan(span, row)
      gained += tokens
      if (span.draftTokens.length > 0) draftAccepted += Math.max(0, tokens - 1)
      if (span.samples) row += 1 + span.draftTokens.length
    }
    const now = clock.now()
    pace.stepped({ ...shape, decodeMs, gained, draftAccepted }, now)
    meter.step(shape.rows + shape.promptTokens)
    meter.phase('decode', decodeMs)
    meter.phase('sample', now - decodedAt)
  }

  /** How many tokens the sequence gained. */
  #commitSpan(span: Span, firstRow: number): number {
    const { choice, slot, draftTokens } = span
    if (choice.job.end !== null) {
      this.#o.runner.truncate(slot, choice.sequence.computed)
      return 0
    }
    advance(choice.sequence, span.count)
    if (!span.samples) return 0
    const gained = this.#verify(span, firstRow)
    // Cells of drafts that were not accepted; the row after the last accepted one has no cell yet.
    if (draftTokens.length > 0) this.#o.runner.truncate(slot, choice.sequence.computed)
    if (gained > 0) this.#gained(choice, gained)
    return gained
  }

  /** Chooses a token for each row as if there had been no draft, and goes on while the draft had guessed it: lossless. */
  #verify({ choice, draftTokens }: Span, firstRow: number): number {
    const { runner, meter } = this.#o
    let accepted = 0
    try {
      for (;;) {
        const token = choice.choose(runner.logits(firstRow + accepted))
        if (choice.finish !== null || token !== draftTokens[accepted]) break
        advance(choice.sequence, 1)
        accepted += 1
      }
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure
      choice.job.end = { kind: 'failed', failure }
      return 0
    }
    if (draftTokens.length > 0) {
      choice.job.draftTokens += draftTokens.length
      choice.job.acceptedTokens += accepted
      meter.drafted({ drafted: draftTokens.length, accepted })
    }
    return 1 + accepted
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
    outbox.final(job.request.id, deltas, outcomeOf(job, job.end, now))
    meter.ended(job, now)
    job[Symbol.dispose]()
  }
}

function batchSpan({ position, count, slot, choice, draftTokens, samples }: Span): BatchSpan {
  const known = choice.sequence.tokens.slice(position, position + count)
  return {
    slot,
    position,
    tokens: draftTokens.length === 0 ? known : [...known, ...draftTokens],
    logitsForLast: samples ? 1 + draftTokens.length : 0,
  }
}

/** What a step looks like to the cost curve: rows that generate, prompt tokens beside them, mean context. */
function shapeOf(step: readonly Span[]): {
  rows: number
  promptTokens: number
  contextTokens: number
  draftRounds: number
} {
  let rows = 0
  let promptTokens = 0
  let cells = 0
  for (const { count, position, draftTokens } of step) {
    if (count === 1) rows += 1 + draftTokens.length
    else promptTokens += count
    cells += position + count
  }
  const draftRounds = step.filter((span) => span.draftTokens.length > 0).length
  return { rows, promptTokens, contextTokens: cells / step.length, draftRounds }
}

function outcomeOf(job: Job, jobEnd: JobEnd, now: number): Outcome {
  switch (jobEnd.kind) {
    case 'completed':
      return { kind: 'completed', usage: job.usage(now) }
    case 'cancelled':
      return { kind: 'cancelled', usage: job.usage(now) }
    case 'failed':
      return { kind: 'failed', failure: jobEnd.failure.toMessage() }
    default:
      return jobEnd satisfies never
  }
}
