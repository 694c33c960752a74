/**
 * What was told about each dispatch: numbered events, kept until nobody can miss one any more.
 *
 * Numbers count from 0 without gaps. Exactly one event per dispatch is the last (`refused` or `final`); appending after it is a
 * bug. Bounded by requests, bytes and age: ended dispatches go first, oldest first; then the oldest events of whichever running
 * dispatch holds most, so that one with huge logprobs cannot take the memory of the others. Pure: `now` is passed in.
 */
import assert from 'node:assert/strict'
import type { DispatchId } from '#contracts/ids.ts'
import type { RequestEvent } from '#contracts/messages.ts'

type Unnumbered<E> = E extends RequestEvent ? Omit<E, 'id' | 'number'> : never
/** An event before it has its place in the order. */
export type EventBody = Unnumbered<RequestEvent>

export interface EventLogBounds {
  readonly requestsMax: number
  readonly bytesMax: number
  readonly retentionMs: number
}

interface History {
  /** Encoded once: a re-send costs no second encoding. */
  events: string[]
  /** Number of `events[0]`: earlier ones were dropped. */
  first: number
  bytes: number
  endedAt: number | null
}

export class EventLog {
  readonly #bounds: EventLogBounds
  readonly #histories = new Map<DispatchId, History>()
  /** In order of their end. */
  readonly #ended = new Set<DispatchId>()
  #bytes = 0

  constructor(bounds: EventLogBounds) {
    this.#bounds = bounds
  }

  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#histories.size
  }

  get liveCount(): number {
    return this.#histories.size - this.#ended.size
  }

  knows(id: DispatchId): boolean {
    return this.#histories.has(id)
  }

  isLive(id: DispatchId): boolean {
    return this.#histories.get(id)?.endedAt === null
  }

  /** The event as JSON, numbered. */
  append(id: DispatchId, body: EventBody, now: number): string {
    const history = this.#historyOf(id)
    assert(history.endedAt === null, `dispatch ${id} has had its last event`)
    const json = JSON.stringify({ ...body, id, number: history.first + history.events.length })
    history.events.push(json)
    history.bytes += json.length
    this.#bytes += json.length
    if (body.kind === 'final' || body.kind === 'refused') {
      history.endedAt = now
      this.#ended.add(id)
    }
    this.#shrink(now)
    return json
  }

  /** Events from `number` on; null where one of them is not known (any more). */
  from(id: DispatchId, number: number): string[] | null {
    const history = this.#histories.get(id)
    if (history === undefined || number < history.first) return null
    return history.events.slice(number - history.first)
  }

  #historyOf(id: DispatchId): History {
    const known = this.#histories.get(id)
    if (known !== undefined) return known
    const history: History = { events: [], first: 0, bytes: 0, endedAt: null }
    this.#histories.set(id, history)
    return history
  }

  #shrink(now: number): void {
    const { requestsMax, bytesMax, retentionMs } = this.#bounds
    for (const id of this.#ended) {
      const isOld = now - (this.#histories.get(id)?.endedAt ?? now) >= retentionMs
      if (!isOld && this.#bytes <= bytesMax && this.#histories.size <= requestsMax) break
      this.#forget(id)
    }
    while (this.#bytes > bytesMax && this.#trimLargest());
  }

  #forget(id: DispatchId): void {
    this.#ended.delete(id)
    this.#bytes -= this.#histories.get(id)?.bytes ?? 0
    this.#histories.delete(id)
  }

  /** Drops the older half of the largest history; false where no history has more than its newest event. */
  #trimLargest(): boolean {
    let largest: History | null = null
    for (const history of this.#histories.values())
      if (history.events.length > 1 && history.bytes > (largest?.bytes ?? 0)) largest = history
    if (largest === null) return false
    const dropped = largest.events.splice(0, Math.ceil(largest.events.length / 2))
    const bytes = dropped.reduce((sum, json) => sum + json.length, 0)
    largest.first += dropped.length
    largest.bytes -= bytes
    this.#bytes -= bytes
    return true
  }
}
