/**
 * KV buckets over JetStream: write, remove, and a watch that survives everything.
 *
 * A watch lists the bucket and then follows it. When the connection breaks it lists again: the server may have lost the
 * consumer, and asking is cheaper than knowing. Keys that are gone by then are told as null, so that a watcher's picture is
 * right at each `synced`. While the bucket does not exist yet (the operator creates it), it tries again.
 */
import { type ConsumerMessages, DeliverPolicy, type JetStreamClient, type JsMsg } from '@nats-io/jetstream'
import { createInbox, headers } from 'nats'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { type Bucket, buckets } from '#contracts/subjects.ts'
import type { Bus, BusState, KeyValueEntry, Subscription } from './bus.ts'
import type { Clock, Timer } from './clock.ts'
import { crashOnThrow } from './crashOnThrow.ts'
import type { Log } from './log.ts'

export interface KeyValueOptions {
  readonly jetstream: JetStreamClient
  readonly inboxPrefix: string
  readonly isConnected: () => boolean
  readonly onState: (handler: (state: BusState) => void) => Subscription
  readonly log: Log
  readonly clock: Clock
}

interface WatchHandlers {
  entry(entry: KeyValueEntry): void
  synced(): void
}

export interface KeyValue extends Pick<Bus, 'put' | 'remove'> {
  watch(bucket: Bucket, handlers: WatchHandlers): Subscription
}

export function createKeyValue(options: KeyValueOptions): KeyValue {
  const write = async (bucket: Bucket, key: string, value: Uint8Array, operation?: 'DEL') => {
    const subject = subjectOf(bucket, key)
    if (!options.isConnected()) throw writeFailed(bucket, key, 'the connection is down')
    try {
      await options.jetstream.publish(subject, value, operation === undefined ? {} : { headers: deletion() })
    } catch (cause) {
      throw writeFailed(bucket, key, cause)
    }
  }
  return {
    put: (bucket, key, value) => write(bucket, key, value),
    remove: (bucket, key) => write(bucket, key, new Uint8Array(0), 'DEL'),
    watch(bucket, handlers) {
      const watch = new Watch(bucket, handlers, options)
      watch.start()
      return { unsubscribe: () => watch.stop() }
    },
  }
}

class Watch {
  readonly #bucket: Bucket
  readonly #handlers: WatchHandlers
  readonly #options: KeyValueOptions
  readonly #states: Subscription
  /** Keys the watcher was told of and that were not told as gone. */
  readonly #known = new Set<string>()
  /** Grows with each listing; what belongs to an earlier one is stale. */
  #listing = 0
  #stopListing: () => void = () => undefined
  #retry: Timer | null = null
  #stopped = false

  constructor(bucket: Bucket, handlers: WatchHandlers, options: KeyValueOptions) {
    this.#bucket = bucket
    this.#handlers = handlers
    this.#options = options
    this.#states = options.onState((state) => {
      if (state === 'connected') this.start()
      else this.#endListing()
    })
  }

  start(): void {
    this.#endListing()
    const listing = this.#listing
    this.#list(listing).catch((error: unknown) => this.#tryAgain(listing, error))
  }

  stop(): void {
    this.#stopped = true
    this.#states.unsubscribe()
    this.#endListing()
  }

  #endListing(): void {
    this.#listing += 1
    this.#retry?.cancel()
    this.#retry = null
    this.#stopListing()
    this.#stopListing = () => undefined
  }

  #isCurrent(listing: number): boolean {
    return listing === this.#listing && !this.#stopped
  }

  async #list(listing: number): Promise<void> {
    const { jetstream, inboxPrefix } = this.#options
    const consumer = await jetstream.consumers.getPushConsumer(`KV_${buckets[this.#bucket]}`, {
      deliver_policy: DeliverPolicy.LastPerSubject,
      deliver_prefix: createInbox(inboxPrefix),
      filter_subjects: subjectOf(this.#bucket, '>'),
    })
    if (!this.#isCurrent(listing)) return
    const progress = { left: (await consumer.info(true)).num_pending, seen: new Set<string>() }
    const messages = await consumer.consume({
      callback: (message) => {
        if (this.#isCurrent(listing)) this.#receive(message, progress)
      },
    })
    this.#stopListing = () => messages.stop()
    if (!this.#isCurrent(listing)) return this.#stopListing()
    this.#watchForEnd(listing, messages)
    if (progress.left === 0) this.#synced(progress.seen)
  }

  #receive(message: JsMsg, progress: { left: number; seen: Set<string> }): void {
    const key = message.subject.slice(subjectOf(this.#bucket, '').length)
    // A marker is what stays of a key that was deleted, purged or outlived its TTL.
    const isMarker = message.headers?.has('KV-Operation') || message.headers?.has('Nats-Marker-Reason')
    progress.seen.add(key)
    this.#tell({ key, value: isMarker ? null : message.data })
    if (progress.left === 0) return
    // A key that changes while it is listed comes once; what is pending behind this message is the truth.
    progress.left = Math.min(progress.left - 1, message.info.pending)
    if (progress.left === 0) this.#synced(progress.seen)
  }

  #tell(entry: KeyValueEntry): void {
    if (entry.value !== null) this.#known.add(entry.key)
    else if (!this.#known.delete(entry.key)) return
    crashOnThrow(() => this.#handlers.entry(entry))
  }

  #synced(seen: ReadonlySet<string>): void {
    for (const key of this.#known) if (!seen.has(key)) this.#tell({ key, value: null })
    crashOnThrow(() => this.#handlers.synced())
  }

  /** The library ends a consumer that it cannot bring back. */
  #watchForEnd(listing: number, messages: ConsumerMessages): void {
    void messages.closed().then((error) => {
      if (this.#isCurrent(listing)) this.#tryAgain(listing, error ?? new Error('the consumer ended'))
    })
  }

  #tryAgain(listing: number, error: unknown): void {
    if (!this.#isCurrent(listing)) return
    this.#options.log.debug({ error, bucket: this.#bucket }, 'a KV bucket cannot be watched yet; trying again')
    this.#retry = this.#options.clock.after(limits.nats.reconnectWaitMsMax, () => this.start())
  }
}

function subjectOf(bucket: Bucket, key: string): string {
  return `$KV.${buckets[bucket]}.${key}`
}

function deletion() {
  const list = headers()
  list.set('KV-Operation', 'DEL')
  return list
}

function writeFailed(bucket: Bucket, key: string, cause: unknown): Failure {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new Failure('bus-unavailable', `cannot write ${bucket}/${key} (${reason})`, {
    retry: { kind: 'after', afterMs: limits.nats.reconnectWaitMsMax },
    cause,
  })
}
