/**
 * What the operator writes into the KV buckets: model records, routes, API keys, and the removal of dead workers' registrations.
 *
 * Sole writer of `models`, `routes` and `keys`. It watches them, so what stands there after a restart of the operator or of NATS is
 * compared with what should stand there, and what is stale goes.
 */
import { createHash } from 'node:crypto'
import type * as z from 'zod'
import { Failure } from '#contracts/failure.ts'
import { DeploymentName, type WorkerId } from '#contracts/ids.ts'
import { KeyRecord, ModelRecord, RouteRecord } from '#contracts/records.ts'
import type { ApiKeySecret } from '#contracts/resources/apiKey.ts'
import type { Bucket } from '#contracts/subjects.ts'
import type { Bus } from '#runtime/bus.ts'
import type { Log } from '#runtime/log.ts'
import { decode, encode } from '#runtime/messages.ts'
import { canonicalJson } from './core/revision.ts'

export class Publisher {
  readonly #bus: Bus
  readonly #models: Mirror<ModelRecord>
  readonly #keys: Mirror<KeyRecord>
  readonly #routes: Mirror<RouteRecord>
  #wantedKeys: ReadonlyMap<string, KeyRecord> = new Map()
  #wantedRoutes: ReadonlyMap<string, RouteRecord> = new Map()

  /** `onListed`: a bucket has been read (again): everything in it should be compared with what is wanted. */
  constructor(options: { bus: Bus; log: Log; onListed: (bucket: 'models' | 'routes' | 'keys') => void }) {
    const { bus, log, onListed } = options
    this.#bus = bus
    this.#models = new Mirror('models', ModelRecord, log, () => onListed('models'))
    this.#keys = new Mirror('keys', KeyRecord, log, () => onListed('keys'))
    this.#routes = new Mirror('routes', RouteRecord, log, () => onListed('routes'))
  }

  /** Resolves when every bucket has been read once. */
  async open(): Promise<void> {
    await Promise.all([this.#models, this.#keys, this.#routes].map((mirror) => mirror.follow(this.#bus)))
  }

  names(): readonly DeploymentName[] {
    return [...this.#models.entries.keys()].flatMap((name) => DeploymentName.safeParse(name).data ?? [])
  }

  recordOf(name: DeploymentName): ModelRecord | null {
    return this.#models.entries.get(name) ?? null
  }

  async putRecord(name: DeploymentName, record: ModelRecord): Promise<void> {
    await this.#bus.put('models', name, encode(record))
    this.#models.entries.set(name, record)
  }

  async removeRecord(name: DeploymentName): Promise<void> {
    await this.#bus.remove('models', name)
    this.#models.entries.delete(name)
  }

  removeWorker(worker: WorkerId): Promise<void> {
    return this.#bus.remove('workers', worker)
  }

  setKeys(secrets: readonly ApiKeySecret[]): void {
    this.#wantedKeys = new Map(secrets.map(({ stringData }) => [hashOf(stringData.key), recordOf(stringData)]))
  }

  /** New keys are there before old ones go: between the two the bucket must never be empty, which would open the router. */
  syncKeys(): Promise<void> {
    return this.#sync(this.#keys, this.#wantedKeys)
  }

  /** Names of routes that routers know. */
  routeNames(): readonly string[] {
    return [...this.#routes.entries.keys()]
  }

  setRoutes(records: readonly RouteRecord[]): void {
    this.#wantedRoutes = new Map(records.map((record) => [record.route, record]))
  }

  syncRoutes(): Promise<void> {
    return this.#sync(this.#routes, this.#wantedRoutes)
  }

  /** What is wanted is written first, what is not goes then. One that cannot be written holds up no other; the first such is thrown. */
  async #sync<T>({ bucket, entries }: Mirror<T>, wanted: ReadonlyMap<string, T>): Promise<void> {
    const failures: Failure[] = []
    const tried = (work: Promise<void>) => work.catch((error: unknown) => failures.push(failureIn(error)))
    for (const [key, record] of wanted) {
      const there = entries.get(key)
      if (there !== undefined && canonicalJson(there) === canonicalJson(record)) continue
      await tried(this.#bus.put(bucket, key, encode(record)).then(() => void entries.set(key, record)))
    }
    // An empty bucket of keys would open the router: none goes before every new one is there.
    const mayRemove = bucket !== 'keys' || failures.length === 0
    for (const key of [...entries.keys()].filter((each) => mayRemove && !wanted.has(each)))
      await tried(this.#bus.remove(bucket, key).then(() => void entries.delete(key)))
    const [first] = failures
    if (first !== undefined) throw first
  }
}

/** Anything else is a bug of ours. */
function failureIn(error: unknown): Failure {
  if (error instanceof Failure) return error
  throw error
}

const hashOf = (key: string) => createHash('sha256').update(key).digest('hex')
const recordOf = ({ tenant, weight, priority }: ApiKeySecret['stringData']): KeyRecord => ({ tenant, weight, priority })

/** What stands in one bucket. The bus tells every difference again after a break, keys that are gone included. */
class Mirror<T> {
  readonly entries = new Map<string, T>()
  readonly bucket: Bucket
  readonly #schema: z.ZodType<T>
  readonly #log: Log
  readonly #onListed: () => void

  constructor(bucket: Bucket, schema: z.ZodType<T>, log: Log, onListed: () => void) {
    this.bucket = bucket
    this.#schema = schema
    this.#log = log
    this.#onListed = onListed
  }

  async follow(bus: Bus): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    await bus.watch(this.bucket, {
      entry: ({ key, value }) => this.#take(key, value),
      synced: () => {
        this.#onListed()
        resolve()
      },
    })
    await promise
  }

  #take(key: string, value: Uint8Array | null): void {
    const record = value === null ? null : this.#parse(key, value)
    if (record === null) this.entries.delete(key)
    else this.entries.set(key, record)
  }

  #parse(key: string, value: Uint8Array): T | null {
    try {
      return decode(this.#schema, value)
    } catch (error) {
      // Written by another version: treated as not there, so that it is written anew.
      this.#log.warn({ error, bucket: this.bucket, entry: key }, 'an entry is not understood and will be replaced')
      return null
    }
  }
}
