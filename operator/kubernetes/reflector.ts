/**
 * Keeps a cache equal to the server's objects of one kind, for as long as the process lives: list, then watch from there.
 *
 * Every error is survived. A watch that ends or breaks goes on from the last version told, so nothing is missed in between; only
 * when the server no longer knows that version (410), or something was said that is not understood, everything is listed again.
 * A watch that is silent for longer than the server's bookmarks allow is dead and is replaced. Changes are told by name only.
 */
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { type Clock, delay } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { backOffMs } from '../core/backOff.ts'
import { type KubernetesClient, refusal } from './client.ts'
import { ObjectCache } from './core/objectCache.ts'
import { readWatchLine } from './core/watchEvent.ts'
import { WatchLines } from './core/watchLines.ts'
import type { ApiObject, Resource } from './core/objects.ts'
import type { ApiStream } from './transport.ts'

export interface ReflectorOptions<T extends ApiObject> {
  readonly client: KubernetesClient
  readonly resource: Resource<T>
  readonly labelSelector?: string
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  /** What is kept of an object; its name, uid and version must be in it. */
  readonly keep?: (object: T) => T
  /** `before` undefined: new; `now` undefined: gone. */
  readonly onChange: (name: string, change: { readonly before: T | undefined; readonly now: T | undefined }) => void
  readonly onEvent?: (kind: 'list' | 'watch' | 'event' | 'error') => void
}

export interface Reflector<T extends ApiObject> {
  get(name: string): T | undefined
  values(): IterableIterator<T>
  readonly size: number
  readonly synced: boolean
  /** The answer to an own write: nobody decides on a state from before it. */
  remember(object: T): void
  /** Resolves with the first complete list; never rejects. */
  start(): Promise<void>
  stop(): void
}

/** What ends a watch, by what comes next. */
type WatchEnd = 'go-on' | 'list-again' | 'wait-and-go-on' | 'wait-and-list-again'

const { cluster } = limits
/** A watch that ends sooner than this without a word was not worth its request: wait before the next. */
const watchMsWorthwhile = 1_000

export function createReflector<T extends ApiObject>(options: ReflectorOptions<T>): Reflector<T> {
  return new WatchedCache(options)
}

class WatchedCache<T extends ApiObject> implements Reflector<T> {
  readonly #options: ReflectorOptions<T>
  readonly #cache = new ObjectCache<T>()
  readonly #stopping = new AbortController()
  readonly #first = Promise.withResolvers<void>()
  #synced = false
  #failures = 0

  constructor(options: ReflectorOptions<T>) {
    this.#options = options
  }

  get(name: string): T | undefined {
    return this.#cache.get(name)
  }

  values(): IterableIterator<T> {
    return this.#cache.values()
  }

  get size(): number {
    return this.#cache.size
  }

  get synced(): boolean {
    return this.#synced
  }

  remember(object: T): void {
    const kept = this.#keep(object)
    const before = this.#cache.get(kept.metadata?.name ?? '')
    const name = this.#cache.remember(kept)
    if (name !== null) this.#options.onChange(name, { before, now: kept })
  }

  start(): Promise<void> {
    void this.#run()
    return this.#first.promise
  }

  stop(): void {
    this.#stopping.abort()
    this.#first.resolve()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    let next: WatchEnd = 'list-again'
    while (!signal.aborted) {
      if (next === 'wait-and-go-on' || next === 'wait-and-list-again') {
        await this.#pause()
        if (signal.aborted) return
      }
      next = next === 'list-again' || next === 'wait-and-list-again' ? await this.#list() : await this.#watch()
    }
  }

  async #pause(): Promise<void> {
    const { clock, random } = this.#options
    this.#failures += 1
    const bounds = { firstMs: cluster.watchRetryMs, maxMs: cluster.watchRetryMsMax }
    await delay(clock, backOffMs(this.#failures, random(), bounds), this.#stopping.signal).catch(() => undefined)
  }

  async #list(): Promise<WatchEnd> {
    const { client, resource, labelSelector, onEvent } = this.#options
    const items: T[] = []
    let from: string | undefined
    this.#cache.beginList()
    onEvent?.('list')
    for (;;) {
      const query = {
        limit: cluster.pageObjectsMax,
        ...select(labelSelector),
        ...(from === undefined ? {} : { continue: from }),
      }
      const page = await this.#quietly(() => client.listPage(resource, query))
      if (page === null) return 'wait-and-list-again'
      // The list took longer than its version is kept; from the start, but not in a hurry.
      if (page === 'expired') return 'wait-and-list-again'
      items.push(...page.items.map((item) => this.#keep(item)))
      if (page.continue === null) return this.#listed(items, page.resourceVersion)
      from = page.continue
    }
  }

  #listed(items: readonly T[], resourceVersion: string): WatchEnd {
    const before = new Map([...this.#cache.names()].map((name) => [name, this.#cache.get(name)]))
    const changed = this.#cache.finishList(items, resourceVersion)
    this.#failures = 0
    for (const name of changed) this.#options.onChange(name, { before: before.get(name), now: this.#cache.get(name) })
    this.#synced = true
    this.#first.resolve()
    return 'go-on'
  }

  async #watch(): Promise<WatchEnd> {
    const { client, resource, labelSelector, clock, random, onEvent } = this.#options
    const { watchMsMin, watchMsMax } = cluster
    const timeoutSeconds = Math.round((watchMsMin + random() * (watchMsMax - watchMsMin)) / 1_000)
    const options = { resourceVersion: this.#cache.seen, timeoutSeconds, ...select(labelSelector) }
    const startedAt = clock.now()
    onEvent?.('watch')
    const stream = await this.#quietly(() => client.watch(resource, options, this.#stopping.signal))
    if (stream === null) return 'wait-and-go-on'
    if (stream.kind === 'refused') return this.#refused(stream)
    const { end, words } = await this.#follow(stream)
    const worthwhile = words > 0 || clock.now() - startedAt >= watchMsWorthwhile
    if (worthwhile && end === 'go-on') this.#failures = 0
    return end === 'go-on' && !worthwhile ? 'wait-and-go-on' : end
  }

  #refused(stream: Extract<ApiStream, { kind: 'refused' }>): WatchEnd {
    if (stream.status === 410) return 'list-again'
    this.#report(refusal('watch', this.#options.resource.plural, stream))
    return stream.status === 429 || stream.status >= 500 ? 'wait-and-go-on' : 'wait-and-list-again'
  }

  async #follow(stream: Extract<ApiStream, { kind: 'open' }>): Promise<{ end: WatchEnd; words: number }> {
    const { clock } = this.#options
    const lines = new WatchLines(cluster.watchLineBytesMax)
    let words = 0
    let watchdog = clock.after(cluster.watchSilenceMs, () => stream.close())
    try {
      for await (const chunk of stream.chunks) {
        watchdog.cancel()
        watchdog = clock.after(cluster.watchSilenceMs, () => stream.close())
        const read = lines.take(chunk)
        if (read.kind === 'too-long') return { end: this.#broken('a watch line is too long'), words }
        for (const line of read.lines) {
          const end = this.#takeLine(line)
          if (end !== null) return { end, words }
          words += 1
        }
      }
    } catch {
      // The connection broke: what was not told yet is told by the next watch.
    } finally {
      watchdog.cancel()
      stream.close()
    }
    return { end: 'go-on', words }
  }

  /** Null: go on reading. */
  #takeLine(line: string): WatchEnd | null {
    const word = readWatchLine<T>(line)
    switch (word.kind) {
      case 'event': {
        const { event } = word
        this.#options.onEvent?.('event')
        if (event.type === 'BOOKMARK') {
          this.#cache.take(event)
          return null
        }
        const object = this.#keep(event.object)
        const before = this.#cache.get(object.metadata?.name ?? '')
        const name = this.#cache.take({ type: event.type, object })
        if (name !== null) this.#options.onChange(name, { before, now: this.#cache.get(name) })
        return null
      }
      case 'expired':
        return 'list-again'
      case 'broken':
        return this.#broken(word.why)
      default:
        return word satisfies never
    }
  }

  #broken(why: string): WatchEnd {
    this.#report(new Failure('cluster-unavailable', `${this.#options.resource.plural}: ${why}; listing again`))
    return 'wait-and-list-again'
  }

  /** Null: it failed, which is said once per attempt and tried again. */
  async #quietly<V>(ask: () => Promise<V>): Promise<V | null> {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      if (!this.#stopping.signal.aborted) this.#report(error)
      return null
    }
  }

  #report(error: Failure): void {
    const { log, resource, onEvent } = this.#options
    onEvent?.('error')
    log.warn({ resource: resource.plural, error, failures: this.#failures }, 'watching is interrupted and tried again')
  }

  #keep(object: T): T {
    const { metadata, ...rest } = object
    const { managedFields: _, ...meta } = metadata ?? {}
    const bare = { ...rest, metadata: meta } as T
    return this.#options.keep?.(bare) ?? bare
  }
}

const select = (labelSelector: string | undefined) => (labelSelector === undefined ? {} : { labelSelector })
