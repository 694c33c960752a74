/**
 * The life of a request beneath HTTP: admitted, dispatched, fed with text, tried again, ended exactly once.
 *
 * Sole writer of `ActiveRequest` and `Job`. Whatever happens, `sink.end` is called once and never before the last delta; after it
 * nothing of the request is left in a queue, and its attempts are cancelled. A job is tried again elsewhere once, and only while
 * the client has seen nothing of it: a streaming request up to its first text, any other up to its end.
 */
import { Failure } from '#contracts/failure.ts'
import type { DeploymentName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { Cancel, ChoiceDelta, Outcome } from '#contracts/messages.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Picked } from './core/pick.ts'
import { Slots } from './core/slots.ts'
import type { Worker, WorkerTable } from './core/workers.ts'
import type { Dispatcher, DispatchEvents } from './dispatch.ts'
import type { ExpertChoices } from './expertChoices.ts'
import type { Lanes } from './lanes.ts'
import type { RequestMeter } from './metrics.ts'
import {
  type ActiveRequest,
  activate,
  type Job,
  type RequestHandle,
  type RequestOutcome,
  type ResponseSink,
  type RoutedRequest,
  usageOf,
} from './request.ts'
import { queueSpan } from './spans.ts'

const ended: RequestHandle = { cancel: () => undefined }

export class Requests implements DispatchEvents {
  readonly #clock: Clock
  readonly #workers: WorkerTable
  readonly #meter: RequestMeter
  readonly #active = new Slots<ActiveRequest>()
  readonly #experts: ExpertChoices
  #parts: { dispatcher: Dispatcher; lanes: Lanes } | null = null

  constructor(options: { clock: Clock; workers: WorkerTable; meter: RequestMeter; experts: ExpertChoices }) {
    this.#experts = options.experts
    this.#clock = options.clock
    this.#workers = options.workers
    this.#meter = options.meter
  }

  /** Dispatcher and lanes call back into this; so they come after it. */
  connect(parts: { dispatcher: Dispatcher; lanes: Lanes }): void {
    this.#parts = parts
  }

  get size(): number {
    return this.#active.size
  }

  submit(routed: RoutedRequest, sink: ResponseSink): RequestHandle {
    const request = activate(routed, sink, this.#slotsMax(routed.model.deployment))
    request.slot = this.#active.add(request)
    for (const job of request.jobs) {
      if (request.ended) return ended
      this.#experts.settle(job, () => this.#offer(job))
    }
    // Sent before this returns: nothing of the time was spent in the queue.
    if (request.dispatchedAt !== null) this.#meter.overhead(routed, this.#clock.now())
    return request.ended ? ended : { cancel: () => this.#cancel(request) }
  }

  /** Refuses what never came as far as `submit`, so that it is counted like everything else. */
  refuse(routed: RoutedRequest, sink: ResponseSink, failure: Failure): RequestHandle {
    this.#fail(activate(routed, sink, 1), failure)
    return ended
  }

  /** Ends whatever still runs, for instance when the time to drain is over. */
  endAll(failure: Failure): void {
    for (const request of this.#active) this.#fail(request, failure, 'shutdown')
  }

  sweep(): void {
    const now = this.#clock.now()
    for (const request of this.#active) {
      if (request.firstTokenAt === null && now >= request.expiresAt)
        this.#fail(request, lateFirstToken(request.routed), 'deadline')
      else if (now - request.routed.arrivedAt >= limits.request.durationMsMax)
        this.#fail(request, tooLong(request.routed), 'deadline')
    }
  }

  /** For `Lanes`: the job leaves the queue for this worker. */
  send(job: Job, picked: Picked): void {
    const { request } = job
    const now = this.#clock.now()
    if (request.dispatchedAt === null) {
      request.dispatchedAt = now
      this.#meter.dispatched(request, now)
    }
    job.heldTokens = picked.heldTokens
    this.#meter.picked(job, picked.cause)
    const { trace } = request.routed
    if (trace !== undefined && trace !== null) queueSpan(trace, job, now)
    this.#dispatcher.send(job, picked)
  }

  /** For `Lanes`: the job left the queue without a worker. */
  drop(job: Job, failure: Failure): void {
    this.#fail(job.request, failure)
  }

  delta(job: Job, choices: readonly ChoiceDelta[]): void {
    const { request } = job
    if (request.ended || choices.length === 0) return
    const now = this.#clock.now()
    request.firstTokenAt ??= now
    this.#lanes.charge(job, tokensIn(choices))
    if (!choices.some(hasContent)) return
    this.#meter.text(request, now)
    request.firstTextAt ??= now
    request.lastTextAt = now
    request.sink.delta(job.firstChoice, choices)
  }

  final(job: Job, worker: Worker, end: { choices: readonly ChoiceDelta[]; outcome: Outcome }): void {
    if (job.request.ended) return
    const { outcome } = end
    switch (outcome.kind) {
      case 'completed':
        this.delta(job, end.choices)
        job.usage = outcome.usage
        job.embeddings = outcome.embeddings ?? null
        this.#jobDone(job)
        return
      case 'cancelled':
        this.#fail(job.request, stoppedByWorker(job))
        return
      case 'failed':
        this.#failedAtWorker(job, worker, Failure.from(outcome.failure))
        return
      default:
        outcome satisfies never
    }
  }

  refused(job: Job, worker: Worker, failure: Failure): void {
    switch (failure.retry.kind) {
      case 'never':
        this.#fail(job.request, failure)
        return
      case 'after':
        worker.pausedUntil = this.#clock.now() + Math.min(failure.retry.afterMs, limits.router.pauseMsMax)
        this.#putBack(job)
        return
      case 'elsewhere':
        this.#elsewhere(job, worker, failure)
        return
      default:
        failure.retry satisfies never
    }
  }

  unanswered(job: Job, worker: Worker): void {
    const { attempt } = job
    if (attempt === null) return
    job.excluded.push(worker.id)
    if (job.retriesLeft > 0 && this.#lanes.hasOther(job)) {
      this.#dispatcher.abandon(attempt, 'superseded')
      this.#retry(job, 'accept-timeout')
      return
    }
    // Nowhere else to go: the dispatch may just have been lost, and a worker never runs one id twice.
    job.excluded.pop()
    this.#dispatcher.sendAgain(attempt)
  }

  lost(job: Job, worker: Worker): void {
    const message = `the worker that had this request (${worker.id}) was lost`
    const failure = new Failure('worker-lost', message, { retry: { kind: 'after', afterMs: 1_000 } })
    job.excluded.push(worker.id)
    if (this.#mayRetry(job)) this.#retry(job, 'worker-lost')
    else this.#fail(job.request, failure)
  }

  freed(worker: Worker): void {
    this.#lanes.place(worker.deployment)
  }

  #offer(job: Job): void {
    if (job.request.ended) return
    const refusal = this.#lanes.offer(job)
    if (refusal !== null) this.#fail(job.request, refusal)
  }

  #failedAtWorker(job: Job, worker: Worker, failure: Failure): void {
    if (failure.retry.kind === 'never' || failure.code === 'expired' || !this.#mayRetry(job)) {
      this.#fail(job.request, failure)
      return
    }
    job.excluded.push(worker.id)
    // Alone, the same worker may try again: what failed may have been one step, or a dispatch it never got.
    if (!this.#lanes.hasOther(job)) job.excluded = []
    this.#retry(job, failure.code)
  }

  /** Refused here, perhaps welcome there; every worker is asked at most once. */
  #elsewhere(job: Job, worker: Worker, failure: Failure): void {
    job.excluded.push(worker.id)
    if (!this.#lanes.hasOther(job)) {
      this.#fail(job.request, failure)
      return
    }
    this.#meter.retried(job.request, 'refused')
    this.#putBack(job)
  }

  #putBack(job: Job): void {
    job.waitingSince = this.#clock.now()
    this.#lanes.putBack(job)
  }

  #mayRetry(job: Job): boolean {
    const seen = job.request.routed.streaming && job.request.firstTextAt !== null
    return job.retriesLeft > 0 && !seen
  }

  #retry(job: Job, cause: string): void {
    job.retriesLeft -= 1
    this.#meter.retried(job.request, cause)
    if (!job.request.routed.streaming) job.request.sink.restart(job.firstChoice, job.choices)
    this.#putBack(job)
  }

  #jobDone(job: Job): void {
    const { request } = job
    const promptTokens = job.usage?.promptTokens ?? job.promptTokensEstimate
    this.#lanes.charge(job, promptTokens - job.promptTokensEstimate)
    request.jobsOpen -= 1
    if (request.jobsOpen > 0) return
    const embeddings = request.jobs.flatMap((each) => each.embeddings ?? [])
    this.#end(request, { kind: 'completed', usage: usageOf(request), embeddings })
  }

  #cancel(request: ActiveRequest): void {
    if (request.ended) return
    this.#release(request, 'client-left')
    this.#end(request, { kind: 'cancelled' })
  }

  #fail(request: ActiveRequest, failure: Failure, reason: Cancel['reason'] = 'superseded'): void {
    if (request.ended) return
    this.#release(request, reason)
    this.#end(request, { kind: 'failed', failure })
  }

  /** Takes the request's jobs out of queues and away from workers. */
  #release(request: ActiveRequest, reason: Cancel['reason']): void {
    for (const job of request.jobs) {
      if (job.attempt === null) this.#lanes.remove(job)
      else this.#dispatcher.abandon(job.attempt, reason)
    }
  }

  #end(request: ActiveRequest, outcome: RequestOutcome): void {
    request.ended = true
    this.#active.remove(request.slot, request)
    this.#meter.ended(request, outcome, this.#clock.now())
    request.sink.end(outcome)
  }

  #slotsMax(deployment: DeploymentName): number {
    const slots = this.#workers.of(deployment).map((worker) => worker.report?.slots.total ?? worker.record?.slots ?? 1)
    return Math.max(1, ...slots)
  }

  get #dispatcher(): Dispatcher {
    return this.#connected().dispatcher
  }

  get #lanes(): Lanes {
    return this.#connected().lanes
  }

  #connected(): { dispatcher: Dispatcher; lanes: Lanes } {
    if (this.#parts === null) throw new Error('bug: used before connect()')
    return this.#parts
  }
}

/** Tokens whose text is still held back (an open character or stop string) are nothing to a client yet. */
function hasContent(choice: ChoiceDelta): boolean {
  return choice.text !== '' || choice.finish !== undefined || choice.logprobs !== undefined
}

function tokensIn(choices: readonly ChoiceDelta[]): number {
  let tokens = 0
  for (const choice of choices) tokens += choice.tokens.length
  return tokens
}

function lateFirstToken({ deadlineMs, model }: RoutedRequest): Failure {
  return new Failure('expired', `no first token from ${model.deployment} within ${deadlineMs} ms`, {
    retry: { kind: 'after', afterMs: limits.queue.retryAfterMsDefault },
  })
}

function tooLong({ model }: RoutedRequest): Failure {
  return new Failure(
    'aborted',
    `the answer of ${model.deployment} took longer than ${limits.request.durationMsMax} ms; ask for fewer tokens`,
  )
}

function stoppedByWorker(job: Job): Failure {
  const message = `the worker stopped this request of ${job.request.routed.model.deployment} before it was complete`
  return new Failure('aborted', message, { retry: { kind: 'after', afterMs: limits.queue.retryAfterMsDefault } })
}
