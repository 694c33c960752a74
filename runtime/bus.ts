/**
 * What our programs need of a message bus, as a port: core publish/subscribe with connection states, and watched KV buckets.
 *
 * Implementations: `runtime/nats.ts` (the real one) and `test/simulate/fakeBus.ts` (fake clock, seeded loss, duplication, delay,
 * partition). Both pass `test/behaviour/bus`. Delivery is at most once and in order per publisher while connected; a message
 * published while disconnected may be lost. Whoever needs more numbers its messages and asks again.
 */
import type { Bucket } from '#contracts/subjects.ts'

export type BusState = 'connected' | 'disconnected' | 'closed'

export interface Subscription {
  unsubscribe(): void
}

export interface KeyValueEntry {
  readonly key: string
  /** null: the key was deleted or purged. */
  readonly value: Uint8Array | null
}

export interface Bus {
  readonly state: BusState
  /** Fire and forget. Throws `Failure('bus-unavailable')` only when the bus is closed. */
  publish(subject: string, payload: Uint8Array): void
  /** `subject` may hold `*` and a last `>`. The handler runs on the event loop and must not throw. */
  subscribe(subject: string, handler: (payload: Uint8Array, subject: string) => void): Subscription
  /** Called on each change of `state`; a reconnect is `disconnected` then `connected`. */
  onState(handler: (state: BusState) => void): Subscription
  /** Everything in a bucket, then every change; `synced` is called once the first listing is complete, and again after each re-listing. */
  watch(bucket: Bucket, handlers: { entry(entry: KeyValueEntry): void; synced(): void }): Promise<Subscription>
  put(bucket: Bucket, key: string, value: Uint8Array): Promise<void>
  remove(bucket: Bucket, key: string): Promise<void>
  /** Resolves when everything published so far has reached the server. */
  flush(): Promise<void>
  close(): Promise<void>
}
