/**
 * Events for people (`kubectl describe`, `kubectl get events`): what was done and what went wrong, said when it changes.
 *
 * Bounded: a burst per pair and then one each interval; the same words again are counted in a series. Nothing depends on an
 * event, so one that cannot be written is dropped and counted.
 */
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import type { KubernetesClient } from './client.ts'
import { type ApiEvent, type ApiObject, nameOf, type Resource, resources, uidOf } from './core/objects.ts'

export interface Occurrence {
  readonly type: 'Normal' | 'Warning'
  /** A constant, in CamelCase. */
  readonly reason: string
  /** What the operator was doing, in CamelCase. */
  readonly action: string
  readonly note: string
  /** The other object it is about. */
  readonly related?: { readonly kind: string; readonly apiVersion: string; readonly name: string }
}

export interface EventRecorder {
  /** Returns at once. */
  say(about: ApiObject, occurrence: Occurrence): void
  readonly dropped: number
  /** Resolves when all that was said has been written. */
  idle(): Promise<void>
  /** Drops what waits; resolves when what was begun has been written. */
  close(): Promise<void>
}

interface Series {
  readonly name: string
  readonly at: number
  count: number
}

interface Allowance {
  left: number
  at: number
}

export interface EventOptions {
  readonly client: KubernetesClient
  readonly regarding: Resource<ApiObject>
  readonly clock: Clock
  readonly epochMs: () => number
  readonly random: () => number
  readonly instance: string
  readonly log: Log
}

const { cluster } = limits
const noteCharactersMax = 1_024
/** What a burst says waits; what would wait behind so many is dropped. */
const pendingMax = 2_048
/** Nobody waits for an event: they leave the API server's time to what pairs wait for. */
const writtenAtOnce = 2

export function createEventRecorder(options: EventOptions): EventRecorder {
  return new Recorder(options)
}

class Recorder implements EventRecorder {
  readonly #options: EventOptions
  readonly #series = new Map<string, Series>()
  readonly #allowances = new Map<string, Allowance>()
  readonly #waiting: (() => Promise<void>)[] = []
  readonly #writers = new Set<Promise<void>>()
  dropped = 0

  constructor(options: EventOptions) {
    this.#options = options
  }

  say(about: ApiObject, occurrence: Occurrence): void {
    const key = [uidOf(about), occurrence.reason, occurrence.note].join('\n')
    const now = this.#options.clock.now()
    const series = this.#series.get(key)
    if (!this.#mayWrite(uidOf(about), now) || this.#waiting.length >= pendingMax) {
      this.dropped += 1
      return
    }
    if (series !== undefined && now - series.at < cluster.eventSeriesMs) this.#add(() => this.#count(key, series))
    else this.#add(this.#newEvent(key, about, occurrence, now))
  }

  async idle(): Promise<void> {
    await Promise.all(this.#writers)
  }

  close(): Promise<void> {
    this.dropped += this.#waiting.length
    this.#waiting.length = 0
    return this.idle()
  }

  /** A bucket of `eventsBurst`, filled by one each `eventIntervalMs`. */
  #mayWrite(uid: string, now: number): boolean {
    const before = this.#allowances.get(uid) ?? { left: cluster.eventsBurst, at: now }
    const gained = Math.floor((now - before.at) / cluster.eventIntervalMs)
    const left = Math.min(cluster.eventsBurst, before.left + gained)
    if (left === 0) return false
    remember(this.#allowances, uid, { left: left - 1, at: before.at + gained * cluster.eventIntervalMs })
    return true
  }

  #add(work: () => Promise<void>): void {
    this.#waiting.push(work)
    if (this.#writers.size >= writtenAtOnce) return
    const writer = this.#work().finally(() => this.#writers.delete(writer))
    this.#writers.add(writer)
  }

  async #work(): Promise<void> {
    for (let work = this.#waiting.shift(); work !== undefined; work = this.#waiting.shift()) {
      try {
        await work()
      } catch (error) {
        if (!(error instanceof Failure)) throw error
        this.dropped += 1
        this.#options.log.debug({ error }, 'an event is not written')
      }
    }
  }

  /** Made at once, with the time it is of; written when its turn comes. */
  #newEvent(key: string, about: ApiObject, occurrence: Occurrence, now: number): () => Promise<void> {
    const { client, regarding, random, instance } = this.#options
    const tail = `${Math.floor(random() * 36 ** 6).toString(36)}${Math.floor(now).toString(36)}`
    const name = `${nameOf(about)}.${tail}`
    remember(this.#series, key, { name, at: now, count: 1 })
    const { type, reason, action, note, related } = occurrence
    const event: ApiEvent = {
      metadata: { name, namespace: client.namespace },
      eventTime: this.#microTime(),
      type,
      reason,
      action,
      note: note.slice(0, noteCharactersMax),
      reportingController: 'paceline.dev/operator',
      reportingInstance: instance.slice(0, 128),
      regarding: {
        apiVersion: regarding.apiVersion,
        kind: regarding.kind,
        name: nameOf(about),
        namespace: client.namespace,
        uid: uidOf(about),
      },
      ...(related === undefined ? {} : { related: { ...related, namespace: client.namespace } }),
    }
    return async () => void (await client.create(resources.events, event))
  }

  async #count(key: string, series: Series): Promise<void> {
    series.count += 1
    const patch = { series: { count: series.count, lastObservedTime: this.#microTime() } }
    const result = await this.#options.client.merge(resources.events, series.name, patch)
    // It has been cleaned up meanwhile: said anew the next time.
    if (result.kind === 'absent') this.#series.delete(key)
  }

  #microTime(): string {
    return new Date(this.#options.epochMs()).toISOString().replace('Z', '000Z')
  }
}

/** The oldest are forgotten first. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= cluster.eventSeriesMax) return
  const oldest = map.keys().next()
  if (oldest.done !== true) map.delete(oldest.value)
}
