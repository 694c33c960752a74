/**
 * What leaves this worker about requests: numbered events, one message per router and step, kept for a re-send.
 *
 * Everything said in one turn of the event loop leaves together (an acceptance waits up to `acceptGatherMs` for company), so the
 * number of messages does not grow with streams. After
 * `accept` there is exactly one `final` per dispatch. A message may be lost on its way; the router sees the gap in the numbers and
 * asks (`resend`). Requests with a delta interval (nobody reads them before their end) are gathered that long, so a short answer is
 * one event; routers keep the interval well below the deadline for the first token, which only a delta tells them is met.
 */
import assert from 'node:assert/strict'
import type { FailureMessage } from '#contracts/failure.ts'
import type { DispatchId, RouterId, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { ChoiceDelta, Outcome, Resend } from '#contracts/messages.ts'
import { split } from '#contracts/parts.ts'
import { subjects } from '#contracts/subjects.ts'
import type { Bus } from '#runtime/bus.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import { joinDeltas } from './core/deltas.ts'
import { type EventBody, EventLog } from './core/eventLog.ts'

export interface Acceptance {
  readonly id: DispatchId
  readonly router: RouterId
  readonly deltaIntervalMs: number
  readonly promptTokens?: number
}

export interface Outbox {
  /** Was this dispatch answered before, and is that still remembered? */
  knows(id: DispatchId): boolean
  /** Accepted and not yet ended. */
  isLive(id: DispatchId): boolean
  readonly liveCount: number
  accept(acceptance: Acceptance): void
  refuse(refusal: { readonly id: DispatchId; readonly router: RouterId; readonly failure: FailureMessage }): void
  delta(id: DispatchId, choices: readonly ChoiceDelta[]): void
  final(id: DispatchId, choices: readonly ChoiceDelta[], outcome: Outcome): void
  resend(request: Resend): void
  /** Sends what waits for the end of this turn. */
  flush(): void
}

interface Live {
  readonly router: RouterId
  readonly deltaIntervalMs: number
  gathered: ChoiceDelta[]
  sentAt: number
}

export interface OutboxOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly worker: WorkerId
  readonly onResent: (events: number) => void
  readonly payloadBytesMax?: number
}

export function createOutbox(options: OutboxOptions): Outbox {
  return new StepOutbox(options)
}

class StepOutbox implements Outbox {
  readonly #options: OutboxOptions
  readonly #log = new EventLog({
    requestsMax: limits.worker.outboxRequestsMax,
    bytesMax: limits.worker.outboxBytesMax,
    retentionMs: limits.worker.outboxRetentionMs,
  })
  readonly #live = new Map<DispatchId, Live>()
  readonly #waiting = new Map<RouterId, string[]>()
  #flushIsDue = false
  #soon: Timer | null = null
  #oversized = 0

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  get liveCount(): number {
    return this.#live.size
  }

  knows(id: DispatchId): boolean {
    return this.#log.knows(id)
  }

  isLive(id: DispatchId): boolean {
    return this.#live.has(id)
  }

  accept({ id, router, deltaIntervalMs, promptTokens }: Acceptance): void {
    this.#live.set(id, { router, deltaIntervalMs, gathered: [], sentAt: this.#options.clock.now() })
    const body = { kind: 'accepted' as const, ...(promptTokens === undefined ? {} : { promptTokens }) }
    this.#gather(router, this.#log.append(id, body, this.#options.clock.now()))
    this.#flushSoon()
  }

  refuse({ id, router, failure }: { id: DispatchId; router: RouterId; failure: FailureMessage }): void {
    this.#say(id, router, { kind: 'refused', failure })
  }

  delta(id: DispatchId, choices: readonly ChoiceDelta[]): void {
    const live = this.#liveOf(id)
    live.gathered = joinDeltas(live.gathered, choices)
    if (this.#options.clock.now() - live.sentAt >= live.deltaIntervalMs) this.#sendGathered(id, live)
  }

  final(id: DispatchId, choices: readonly ChoiceDelta[], outcome: Outcome): void {
    const live = this.#liveOf(id)
    this.#live.delete(id)
    this.#say(id, live.router, { kind: 'final', choices: joinDeltas(live.gathered, choices), outcome })
  }

  resend({ router, requests }: Resend): void {
    let count = 0
    for (const { id, from } of requests) {
      const live = this.#live.get(id)
      const known = this.#log.from(id, from)
      if (known === null) this.#queue(router, lost(id, from))
      else for (const json of known) this.#queue(router, json)
      count += known?.length ?? 0
      if (live !== undefined && live.gathered.length > 0) this.#sendGathered(id, live)
    }
    if (count > 0) this.#options.onResent(count)
  }

  flush(): void {
    this.#flushIsDue = false
    this.#soon?.cancel()
    this.#soon = null
    for (const [router, events] of this.#waiting) this.#publish(router, events)
    this.#waiting.clear()
  }

  #liveOf(id: DispatchId): Live {
    const live = this.#live.get(id)
    assert(live !== undefined, `dispatch ${id} is not live`)
    return live
  }

  #sendGathered(id: DispatchId, live: Live): void {
    const choices = live.gathered
    live.gathered = []
    live.sentAt = this.#options.clock.now()
    this.#say(id, live.router, { kind: 'delta', choices })
  }

  #say(id: DispatchId, router: RouterId, body: EventBody): void {
    this.#queue(router, this.#log.append(id, body, this.#options.clock.now()))
  }

  #gather(router: RouterId, json: string): void {
    const events = this.#waiting.get(router)
    if (events === undefined) this.#waiting.set(router, [json])
    else events.push(json)
  }

  /** Nobody waits for the word that work was accepted; it travels with the first step, if that is quick. */
  #flushSoon(): void {
    if (this.#flushIsDue || this.#soon !== null) return
    this.#soon = this.#options.clock.after(limits.worker.acceptGatherMs, () => this.flush())
  }

  #queue(router: RouterId, json: string): void {
    this.#gather(router, json)
    if (this.#flushIsDue) return
    this.#flushIsDue = true
    queueMicrotask(() => {
      if (this.#flushIsDue) this.flush()
    })
  }

  #publish(router: RouterId, events: readonly string[]): void {
    const { bus, worker, payloadBytesMax = limits.nats.payloadBytesMax } = this.#options
    const subject = subjects.stream(router)
    if (bus.state === 'closed') return
    for (const frame of frames({ worker, events, payloadBytesMax }))
      for (const payload of this.#payloads(frame, payloadBytesMax)) bus.publish(subject, payload)
  }

  /** One event alone can be over the limit (many embeddings): it travels in parts, as large dispatches do. */
  #payloads(frame: Uint8Array, payloadBytesMax: number): Uint8Array[] {
    if (frame.length <= payloadBytesMax) return [frame]
    this.#oversized += 1
    return split(`${this.#options.worker}-${this.#oversized}`, frame, payloadBytesMax)
  }
}

function lost(id: DispatchId, number: number): string {
  const failure: FailureMessage = {
    code: 'worker-lost',
    message: `this worker does not know dispatch ${id} from event ${number} on`,
    retry: { kind: 'elsewhere' },
  }
  return JSON.stringify({ kind: 'final', id, number, choices: [], outcome: { kind: 'failed', failure } })
}

/** As few `StepFrame`s as the limit allows, put together from encoded events. */
function frames(options: { worker: WorkerId; events: readonly string[]; payloadBytesMax: number }): Uint8Array[] {
  const open = `{"worker":${JSON.stringify(options.worker)},"events":[`
  const whole = Buffer.from(`${open}${options.events.join(',')}]}`)
  if (whole.length <= options.payloadBytesMax || options.events.length === 1) return [whole]
  const middle = Math.ceil(options.events.length / 2)
  return [options.events.slice(0, middle), options.events.slice(middle)].flatMap((events) =>
    frames({ ...options, events }),
  )
}
