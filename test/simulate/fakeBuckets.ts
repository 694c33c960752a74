/**
 * The server's KV buckets: values with an optional time to live, and watchers told of every change.
 *
 * A watcher gets a listing (entries, then `synced`) when it starts and again when its client reconnects; what vanished while
 * it was away is told as null. Only keys that a watcher knows are ever told as null.
 */
import { limits } from '#contracts/limits.ts'
import type { Bucket } from '#contracts/subjects.ts'
import type { KeyValueEntry } from '#runtime/bus.ts'
import type { Clock, Timer } from '#runtime/clock.ts'

export interface Watcher {
  readonly bucket: Bucket
  /** Sends to the watching client, in order; what a broken link loses is covered by the next listing. */
  readonly tell: (message: { entry: KeyValueEntry } | { synced: true }) => void
}

interface Stored {
  readonly value: Uint8Array
  readonly expiry: Timer | null
}

const ttlMs: Partial<Record<Bucket, number>> = { workers: limits.worker.registrationTtlMs }

export class FakeBuckets {
  readonly #clock: Clock
  readonly #stored = new Map<Bucket, Map<string, Stored>>()
  readonly #watchers = new Set<Watcher>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  keys(bucket: Bucket): string[] {
    return [...this.#bucket(bucket).keys()]
  }

  put(bucket: Bucket, key: string, value: Uint8Array): void {
    this.#bucket(bucket).get(key)?.expiry?.cancel()
    const ms = ttlMs[bucket]
    const expiry = ms === undefined ? null : this.#clock.after(ms, () => this.remove(bucket, key))
    this.#bucket(bucket).set(key, { value: value.slice(), expiry })
    this.#tellAll(bucket, { key, value })
  }

  remove(bucket: Bucket, key: string): void {
    this.#bucket(bucket).get(key)?.expiry?.cancel()
    if (this.#bucket(bucket).delete(key)) this.#tellAll(bucket, { key, value: null })
  }

  /** Starts (or starts again) a watcher: the whole bucket, then `synced`. `known`: keys it was told before. */
  list(watcher: Watcher, known: ReadonlySet<string>): void {
    this.#watchers.add(watcher)
    const stored = this.#bucket(watcher.bucket)
    for (const key of known) if (!stored.has(key)) watcher.tell({ entry: { key, value: null } })
    for (const [key, { value }] of stored) watcher.tell({ entry: { key, value: value.slice() } })
    watcher.tell({ synced: true })
  }

  forget(watcher: Watcher): void {
    this.#watchers.delete(watcher)
  }

  /** A server that came back without its files. */
  clear(): void {
    for (const stored of this.#stored.values()) for (const { expiry } of stored.values()) expiry?.cancel()
    this.#stored.clear()
  }

  #bucket(bucket: Bucket): Map<string, Stored> {
    const stored = this.#stored.get(bucket) ?? new Map<string, Stored>()
    this.#stored.set(bucket, stored)
    return stored
  }

  #tellAll(bucket: Bucket, entry: KeyValueEntry): void {
    for (const watcher of this.#watchers) if (watcher.bucket === bucket) watcher.tell({ entry })
  }
}
