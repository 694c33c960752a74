/**
 * Attempts: a job sent to one worker over the bus, its events put in order, its cancel.
 *
 * An attempt ends with `final`, `refused`, or its worker's death. One that is given up earlier (client left, retry elsewhere)
 * loses its job at once but stays known, and its cancel is repeated, until the worker has answered: otherwise a lost cancel
 * would leave a worker generating for nobody. A dispatch that may have been lost is sent again under the same id, which a
 * worker never runs twice. Never decides what to do about a failure: `requests.ts` does, through `DispatchEvents`.
 */
import { Failure } from '#contracts/failure.ts'
import { DispatchId, type RouterId, type WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { Cancel, ChoiceDelta, Dispatch, Outcome, RequestEvent, Resend, StepFrame } from '#contracts/messages.ts'
import { Assembler, parsePart, split } from '#contracts/parts.ts'
import { subjects } from '#contracts/subjects.ts'
import type { Bus } from '#runtime/bus.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { encode } from '#runtime/messages.ts'
import type { Span } from '#runtime/tracing.ts'
import { isStepFrame } from './core/frame.ts'
import type { Picked } from './core/pick.ts'
import { Slots } from './core/slots.ts'
import { arrive, newOrder, type Order } from './core/stream.ts'
import type { Sent, Worker, WorkerTable } from './core/workers.ts'
import type { RouterMetrics } from './metrics.ts'
import { type Job, jobNeed } from './request.ts'
import { attemptSpan, endAttempt, giveUpAttempt } from './spans.ts'

export interface Attempt {
  /** Names its slot in the dispatcher's table, so that an event finds its attempt without a search. */
  id: DispatchId
  readonly worker: Worker
  /** What the worker is counted for because of it. */
  readonly sent: Sent
  /** Null: the request is not traced. */
  readonly span: Span | null
  readonly order: Order
  /** Null: given up; only its end is still of interest. */
  job: Job | null
  /** Kept until the worker has answered, in case they must be sent again. */
  payloads: readonly Uint8Array[] | null
  accepted: boolean
  sentAt: number
  heardAt: number
  abandoned: Abandoned | null
}

interface Abandoned {
  readonly at: number
  readonly reason: Cancel['reason']
  /** When the worker was last told to stop. */
  toldAt: number
}

export interface DispatchEvents {
  delta(job: Job, choices: readonly ChoiceDelta[]): void
  final(job: Job, worker: Worker, end: { choices: readonly ChoiceDelta[]; outcome: Outcome }): void
  refused(job: Job, worker: Worker, failure: Failure): void
  /** No answer in time. The attempt goes on unless it is abandoned. */
  unanswered(job: Job, worker: Worker): void
  lost(job: Job, worker: Worker): void
  /** A worker got room. */
  freed(worker: Worker): void
}

type Silent = { id: DispatchId; from: number }

export class Dispatcher {
  readonly #router: RouterId
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #log: Log
  readonly #metrics: RouterMetrics
  readonly #workers: WorkerTable
  readonly #events: DispatchEvents
  readonly #attempts = new Slots<Attempt>()
  readonly #parts = new Assembler()
  #count = 0

  constructor(options: {
    router: RouterId
    bus: Bus
    clock: Clock
    log: Log
    metrics: RouterMetrics
    workers: WorkerTable
    events: DispatchEvents
  }) {
    this.#router = options.router
    this.#bus = options.bus
    this.#clock = options.clock
    this.#log = options.log
    this.#metrics = options.metrics
    this.#workers = options.workers
    this.#events = options.events
  }

  /** Attempts not yet ended, those given up included. */
  get size(): number {
    return this.#attempts.size
  }

  send(job: Job, picked: Picked): void {
    const attempt = this.#newAttempt(job, picked)
    attempt.payloads = split(attempt.id, encode(this.#message(job, attempt)))
    job.attempt = attempt
    this.#publishPayloads(attempt)
  }

  /** The same dispatch once more: the first may not have arrived. */
  sendAgain(attempt: Attempt): void {
    attempt.sentAt = this.#clock.now()
    this.#publishPayloads(attempt)
  }

  /** The job is free to go elsewhere or to end; the worker is told to stop until it has. */
  abandon(attempt: Attempt, reason: Cancel['reason']): void {
    if (attempt.job === null) return
    attempt.job.attempt = null
    attempt.job = null
    attempt.payloads = null
    attempt.abandoned = { at: this.#clock.now(), reason, toldAt: 0 }
    if (attempt.span !== null) giveUpAttempt(attempt.span, reason, attempt.abandoned.at)
    this.#publishCancel(attempt, attempt.abandoned)
  }

  /** A message from the router's stream subject: a frame, or a part of a large one. */
  receive(payload: Uint8Array): void {
    const part = parsePart(payload)
    const whole = part === null ? payload : this.#parts.add(part, this.#clock.now())
    if (whole === null) return
    const frame = parseFrame(whole)
    if (frame === null) {
      this.#log.warn({ bytes: whole.length }, 'frame dropped: not a StepFrame')
      return
    }
    this.#takeFrame(frame)
  }

  /** The worker is dead: its attempts end here. */
  lose(id: WorkerId): void {
    let requests = 0
    let incomplete = 0
    for (const attempt of this.#attempts) {
      if (attempt.worker.id !== id) continue
      const { job } = attempt
      requests += 1
      if (attempt.order.askedAt !== null) incomplete += 1
      if (attempt.span !== null) giveUpAttempt(attempt.span, 'worker-lost', this.#clock.now())
      this.#end(attempt)
      if (job !== null) this.#events.lost(job, attempt.worker)
    }
    // `incomplete`: events of it were missing and had been asked for.
    if (requests > 0) this.#log.warn({ worker: id, requests, incomplete }, 'requests lost with their worker')
  }

  /** After an outage: whatever may have been lost is asked for or sent again. */
  recover(): void {
    const silent = new Map<WorkerId, Silent[]>()
    for (const attempt of this.#attempts) {
      if (attempt.abandoned !== null) this.#publishCancel(attempt, attempt.abandoned)
      // Not a re-send: a worker that never got the dispatch would call it lost.
      if (attempt.abandoned === null && !attempt.accepted) this.sendAgain(attempt)
      else this.#ask(silent, attempt)
    }
    this.#publishResends(silent, 'reconnect')
  }

  /** Looks for what is overdue. Call only while the bus is connected. */
  sweep(): void {
    const now = this.#clock.now()
    const silent = new Map<WorkerId, Silent[]>()
    const unanswered: Attempt[] = []
    for (const attempt of this.#attempts) {
      if (attempt.abandoned !== null) this.#sweepAbandoned(attempt, attempt.abandoned, { now, silent })
      else if (!attempt.accepted && attempt.order.askedAt === null) {
        if (now - attempt.sentAt >= limits.worker.acceptTimeoutMs) unanswered.push(attempt)
      } else if (now - (attempt.order.askedAt ?? attempt.heardAt) >= limits.worker.resendAfterMs) {
        this.#ask(silent, attempt)
        attempt.heardAt = now
      }
    }
    this.#publishResends(silent, 'silence')
    for (const { job, worker } of unanswered) if (job !== null) this.#events.unanswered(job, worker)
  }

  /** Still sending is no answer: only the end of the attempt is. */
  #sweepAbandoned(attempt: Attempt, abandoned: Abandoned, at: { now: number; silent: Map<WorkerId, Silent[]> }): void {
    if (at.now - abandoned.at >= limits.router.abandonedMsMax) this.#end(attempt)
    else if (at.now - abandoned.toldAt >= limits.worker.resendAfterMs) {
      this.#publishCancel(attempt, abandoned)
      this.#ask(at.silent, attempt)
    }
  }

  #takeFrame(frame: StepFrame): void {
    const now = this.#clock.now()
    let gaps: Map<WorkerId, Silent[]> | null = null
    this.#workers.heard(frame.worker, now)
    for (const event of frame.events) {
      const attempt = this.#attempts.get(slotOf(event.id))
      if (attempt === null || attempt.id !== event.id || attempt.worker.id !== frame.worker) {
        this.#stopOrphan(frame.worker, event)
        continue
      }
      attempt.heardAt = now
      const arrival = arrive(attempt.order, event.number)
      // Of an attempt that was given up only the end matters, however much before it was lost.
      const isEnd = attempt.job === null && event.kind === 'final'
      if (arrival === 'deliver' || isEnd) this.#deliver(attempt, event)
      else if (arrival === 'duplicate') this.#metrics.duplicates.inc({})
      else if (this.#mayAsk(attempt, now)) {
        gaps ??= new Map()
        this.#ask(gaps, attempt)
      }
    }
    if (gaps !== null) this.#publishResends(gaps, 'gap')
  }

  #deliver(attempt: Attempt, event: RequestEvent): void {
    const { job } = attempt
    switch (event.kind) {
      case 'accepted':
        this.#answered(attempt)
        return
      case 'delta':
        this.#workers.computed(attempt.sent)
        if (job !== null) this.#events.delta(job, event.choices)
        return
      case 'refused':
        if (attempt.span !== null) endAttempt(attempt.span, event, this.#clock.now())
        this.#end(attempt)
        if (job !== null) this.#events.refused(job, attempt.worker, Failure.from(event.failure))
        this.#events.freed(attempt.worker)
        return
      case 'final':
        if (attempt.span !== null) endAttempt(attempt.span, event, this.#clock.now())
        this.#end(attempt)
        if (job !== null) this.#events.final(job, attempt.worker, event)
        this.#events.freed(attempt.worker)
        return
      default:
        event satisfies never
    }
  }

  #answered(attempt: Attempt): void {
    attempt.accepted = true
    attempt.payloads = null
    this.#workers.accepted(attempt.sent)
  }

  #end(attempt: Attempt): void {
    this.#attempts.remove(slotOf(attempt.id), attempt)
    this.#workers.ended(attempt.sent)
    if (attempt.job !== null) attempt.job.attempt = null
    attempt.job = null
    attempt.payloads = null
  }

  /** A worker that was taken for dead and is not still runs what was given up: it must not go on for nobody. */
  #stopOrphan(worker: WorkerId, { id, kind }: RequestEvent): void {
    if (kind !== 'accepted' && kind !== 'delta') return
    const message: Cancel = { id, reason: 'superseded' }
    this.#bus.publish(subjects.cancel(worker), encode(message))
  }

  /** A question is lost where it was sent before the worker was back on the bus: its next events show that, long before silence does. */
  #mayAsk({ order }: Attempt, now: number): boolean {
    return order.askedAt === null || now - order.askedAt >= limits.router.askAgainMs
  }

  #ask(into: Map<WorkerId, Silent[]>, attempt: Attempt): void {
    attempt.order.askedAt = this.#clock.now()
    const list = into.get(attempt.worker.id)
    const entry = { id: attempt.id, from: attempt.order.expected }
    if (list === undefined) into.set(attempt.worker.id, [entry])
    else list.push(entry)
  }

  #publishResends(silent: Map<WorkerId, Silent[]>, cause: 'gap' | 'silence' | 'reconnect'): void {
    for (const [worker, requests] of silent) {
      this.#metrics.resends.inc({ cause }, requests.length)
      for (let i = 0; i < requests.length; i += resendsPerMessage) {
        const message: Resend = { router: this.#router, requests: requests.slice(i, i + resendsPerMessage) }
        this.#bus.publish(subjects.resend(worker), encode(message))
      }
    }
  }

  #publishCancel(attempt: Attempt, abandoned: Abandoned): void {
    const message: Cancel = { id: attempt.id, reason: abandoned.reason }
    abandoned.toldAt = this.#clock.now()
    this.#bus.publish(subjects.cancel(attempt.worker.id), encode(message))
  }

  #publishPayloads(attempt: Attempt): void {
    const subject = subjects.dispatch(attempt.worker.id)
    for (const payload of attempt.payloads ?? []) this.#bus.publish(subject, payload)
  }

  #newAttempt(job: Job, picked: Picked): Attempt {
    const { worker, heldTokens } = picked
    const now = this.#clock.now()
    const need = jobNeed(job)
    const trace = job.request.routed.trace ?? null
    const attempt: Attempt = {
      id: unsentId,
      worker,
      sent: this.#workers.sent(worker, {
        choices: job.choices,
        promptTokens: need.promptTokens - heldTokens,
        prefixes: need.prefixes,
        expert: job.expert,
        isEmbedding: job.work.kind === 'embedding',
      }),
      span: trace === null ? null : attemptSpan(trace, { job, picked, at: now }),
      order: newOrder(),
      job,
      payloads: null,
      accepted: false,
      sentAt: now,
      heardAt: now,
      abandoned: null,
    }
    this.#count += 1
    attempt.id = newDispatchId(this.#router, this.#count, this.#attempts.add(attempt))
    return attempt
  }

  #message(job: Job, { id, sentAt }: Attempt): Dispatch {
    const { routed } = job.request
    const deadlineMs = Math.max(1, job.expiresAt - sentAt)
    return {
      id,
      requestId: routed.id,
      router: this.#router,
      tenant: routed.tenant,
      priority: routed.priority,
      deadlineMs,
      choices: job.choices,
      deltaIntervalMs: routed.streaming ? 0 : quietIntervalMs(deadlineMs),
      work: job.work,
      ...(job.expert === null ? {} : { expert: job.expert }),
      // Who waits for its expert's turn has waited here already.
      ...(routed.model.experts.length === 0 ? {} : { waitedMs: Math.max(0, sentAt - routed.arrivedAt) }),
      sampling: { ...routed.sampling, seed: job.seed },
      ...hintOf(job),
    }
  }
}

/** Nothing for nothing: most requests have none. */
function hintOf({ request, prompt }: Job): Pick<Dispatch, 'hint'> {
  const hint = request.routed.hints?.[prompt]
  return hint === undefined || hint === '' ? {} : { hint }
}

const resendsPerMessage = 4_096

/** Well within the deadline: a delta is what tells that it is met. */
function quietIntervalMs(deadlineMs: number): number {
  return Math.min(limits.worker.quietDeltaIntervalMs, deadlineMs / 4)
}

const unsentId = DispatchId.parse('unsent')

/** Unique in the router's life, and so in the world: router ids are. */
function newDispatchId(router: RouterId, count: number, slot: number): DispatchId {
  return DispatchId.parse(`${router}-${count.toString(36)}-${slot.toString(36)}`)
}

function slotOf(id: DispatchId): number {
  return Number.parseInt(id.slice(id.lastIndexOf('-') + 1), 36)
}

/** Null where it is no frame; a broken message from another process must not end this one. */
function parseFrame(payload: Uint8Array): StepFrame | null {
  try {
    const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8')
    const value: unknown = JSON.parse(text)
    return isStepFrame(value) ? value : null
  } catch {
    return null
  }
}
