/**
 * What reaches this worker from NATS: dispatches, cancels, requests to send again, the order to drain.
 *
 * Answers a dispatch at once, before anything of it has run: accepted or refused, once per dispatch id. Everything it holds is
 * bounded. A message that cannot be read is logged and dropped; nothing that a message says can end the process.
 */
import { Failure } from '#contracts/failure.ts'
import type { DispatchId, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { Cancel, Dispatch, Drain, GateQuestion, Resend } from '#contracts/messages.ts'
import { Assembler, parsePart } from '#contracts/parts.ts'
import { parseWorkerInbox, subjects, type WorkerInboxKind } from '#contracts/subjects.ts'
import type { Bus, Subscription } from '#runtime/bus.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { decode } from '#runtime/messages.ts'
import type { EmbeddingQueue } from './embeddingQueue.ts'
import type { Engine } from './engine.ts'
import type { GateService } from './gateService.ts'
import type { Jobs } from './jobs.ts'
import type { ModelRunner } from './modelRunner.ts'
import type { Outbox } from './outbox.ts'
import type { Prepare, Prepared } from './prepare.ts'

export interface InboxOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly log: Log
  readonly worker: WorkerId
  readonly runner: ModelRunner
  readonly prepare: Prepare
  readonly engine: Engine
  readonly jobs: Jobs
  readonly embeddings: EmbeddingQueue
  readonly outbox: Outbox
  readonly gate: GateService
  readonly isDraining: () => boolean
  readonly onDrain: (graceMs: number) => void
}

export class Inbox {
  readonly #o: InboxOptions
  readonly #parts = new Assembler()
  /** Cancels that overtook their dispatch, oldest first. */
  readonly #earlyCancels = new Map<DispatchId, { readonly reason: Cancel['reason']; readonly at: number }>()
  #subscription: Subscription | null = null

  constructor(options: InboxOptions) {
    this.#o = options
  }

  start(): void {
    const { bus, worker } = this.#o
    this.#subscription = bus.subscribe(subjects.workerInbox(worker), (payload, subject) =>
      this.#receive(payload, subject),
    )
  }

  stop(): void {
    this.#subscription?.unsubscribe()
    this.#subscription = null
  }

  #receive(payload: Uint8Array, subject: string): void {
    const { clock, log } = this.#o
    const kind = parseWorkerInbox(subject)?.kind
    if (kind === undefined) return log.warn({ subject }, 'message on an unknown subject dropped')
    try {
      const part = parsePart(payload)
      const whole = part === null ? payload : this.#parts.add(part, clock.now())
      if (whole !== null) this.#handle(kind, whole)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      log.warn({ subject, code: error.code, reason: error.message }, 'unreadable message dropped')
    }
  }

  #handle(kind: WorkerInboxKind, bytes: Uint8Array): void {
    switch (kind) {
      case 'dispatch':
        return this.#dispatch(decode(Dispatch, bytes))
      case 'cancel':
        return this.#cancel(decode(Cancel, bytes))
      case 'resend':
        return this.#o.outbox.resend(decode(Resend, bytes))
      case 'gate':
        return this.#o.gate.take(decode(GateQuestion, bytes))
      case 'drain':
        return this.#o.onDrain(decode(Drain, bytes).graceMs)
      default:
        return kind satisfies never
    }
  }

  #dispatch(dispatch: Dispatch): void {
    const { outbox, clock } = this.#o
    const { id, router } = dispatch
    if (outbox.knows(id)) return outbox.resend({ router, requests: [{ id, from: 0 }] })
    const refusal = this.#refusal(dispatch)
    if (refusal !== null) return outbox.refuse({ id, router, failure: refusal.toMessage() })
    const startedAt = clock.now()
    const prepared = this.#prepare(dispatch)
    if (prepared instanceof Failure) return outbox.refuse({ id, router, failure: prepared.toMessage() })
    this.#accept(dispatch, prepared)
    const early = this.#earlyCancels.get(id)
    this.#earlyCancels.delete(id)
    if (early !== undefined) this.#o.engine.cancel(id, early.reason)
    this.#o.log.debug({ request: dispatch.requestId, id, prepareMs: clock.now() - startedAt }, 'request accepted')
  }

  /** Reasons that have nothing to do with what the request says; found first, because they cost nothing. */
  #refusal({ choices, work }: Dispatch): Failure | null {
    const { isDraining, runner, jobs, embeddings } = this.#o
    if (isDraining()) return new Failure('draining', 'this worker is shutting down', { retry: { kind: 'elsewhere' } })
    const after = { retry: { kind: 'after', afterMs: limits.worker.reportIntervalMs } } as const
    if (runner.refuses?.() === true)
      return new Failure('refused', 'the simulated engine was told to refuse this', after)
    const { slots } = runner.info
    const embeddingsMax = slots * (1 + limits.worker.waitingPerSlotMax)
    const hasRoom = work.kind === 'embedding' ? embeddings.size < embeddingsMax : jobs.hasRoom(choices)
    if (hasRoom) return null
    const waiting = work.kind === 'embedding' ? embeddings.size : jobs.waitingCount
    return new Failure('refused', `all ${slots} slots are taken and ${waiting} requests wait for them`, after)
  }

  /** A bug in what handles a client's text must not let that client end the process. */
  #prepare(dispatch: Dispatch): Prepared | Failure {
    try {
      return this.#o.prepare(dispatch)
    } catch (error) {
      if (error instanceof Failure) return error
      this.#o.log.error({ error, request: dispatch.requestId }, 'bug: a request could not be prepared')
      return new Failure('engine-fault', 'this worker could not prepare the request; the error is in its log')
    }
  }

  #accept({ id, router, deltaIntervalMs }: Dispatch, prepared: Prepared): void {
    const { outbox, engine, embeddings } = this.#o
    switch (prepared.kind) {
      case 'generate':
        outbox.accept({ id, router, deltaIntervalMs, promptTokens: prepared.request.prompt.length })
        return engine.submit(prepared.request)
      case 'embed':
        outbox.accept({ id, router, deltaIntervalMs })
        embeddings.submit(prepared.request)
        return engine.wake()
      default:
        return prepared satisfies never
    }
  }

  #cancel({ id, reason }: Cancel): void {
    const { engine, outbox, clock } = this.#o
    if (engine.cancel(id, reason) || outbox.knows(id)) return
    const now = clock.now()
    for (const [old, { at }] of this.#earlyCancels) {
      const isKept = now - at < limits.worker.earlyCancelAgeMsMax
      if (isKept && this.#earlyCancels.size < limits.worker.earlyCancelsMax) break
      this.#earlyCancels.delete(old)
    }
    this.#earlyCancels.set(id, { reason, at: now })
  }
}
