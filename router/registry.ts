/**
 * What the operator published: deployments, routes, API keys, worker registrations; and what workers report. Folded from watched KV
 * buckets and the report subject into maps that requests read.
 *
 * A record that does not have its declared form is logged and skipped: one broken record must not take the others away.
 * `synced` becomes true once every bucket has been listed; before that nobody is authenticated and nothing is ready.
 */
import { isWorkerReport } from '#contracts/checks/workerReport.ts'
import { type DeploymentName, type RouteName, WorkerId } from '#contracts/ids.ts'
import { WorkerReport } from '#contracts/messages.ts'
import { KeyRecord, ModelRecord, RouteRecord, WorkerRecord } from '#contracts/records.ts'
import { type Bucket, subjects } from '#contracts/subjects.ts'
import type { Bus, KeyValueEntry, Subscription } from '#runtime/bus.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { decode, decodeChecked } from '#runtime/messages.ts'
import type { WorkerTable } from './core/workers.ts'

const watchedBuckets = 4

export interface RegistryEvents {
  /** Something about this deployment's workers changed that may let work go. */
  workersChanged(deployment: DeploymentName): void
  workerLost(id: WorkerId): void
  modelGone(deployment: DeploymentName): void
  routeGone(route: RouteName): void
}

export class Registry {
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #log: Log
  readonly #workers: WorkerTable
  readonly #events: RegistryEvents
  readonly #models = new Map<string, ModelRecord>()
  readonly #byName = new Map<string, ModelRecord>()
  readonly #routes = new Map<string, RouteRecord>()
  readonly #routeByName = new Map<string, RouteRecord>()
  readonly #keys = new Map<string, KeyRecord>()
  #hasHadKeys = false
  readonly #synced = new Set<Bucket>()
  readonly #subscriptions: Subscription[] = []

  constructor(options: { bus: Bus; clock: Clock; log: Log; workers: WorkerTable; events: RegistryEvents }) {
    this.#bus = options.bus
    this.#clock = options.clock
    this.#log = options.log
    this.#workers = options.workers
    this.#events = options.events
  }

  async start(): Promise<void> {
    this.#subscriptions.push(this.#bus.subscribe(subjects.allReports, (payload) => this.#takeReport(payload)))
    await this.#watch('models', (entry) => this.#takeModel(entry))
    await this.#watch('routes', (entry) => this.#takeRoute(entry))
    await this.#watch('keys', (entry) => this.#takeKey(entry))
    await this.#watch('workers', (entry) => this.#takeWorker(entry))
  }

  stop(): void {
    for (const subscription of this.#subscriptions.splice(0)) subscription.unsubscribe()
  }

  get synced(): boolean {
    return this.#synced.size === watchedBuckets
  }

  /** By any of its served names. */
  model(name: string): ModelRecord | undefined {
    return this.#byName.get(name)
  }

  models(): ModelRecord[] {
    return [...this.#models.values()]
  }

  /** By its own name only. */
  deployment(name: string): ModelRecord | undefined {
    return this.#models.get(name)
  }

  /** By the name that clients use. Ask for a deployment of that name first: while names change hands, both may be published. */
  route(name: string): RouteRecord | undefined {
    return this.#routeByName.get(name)
  }

  routes(): RouteRecord[] {
    return [...this.#routes.values()]
  }

  key(sha256: string): KeyRecord | undefined {
    return this.#keys.get(sha256)
  }

  /**
   * While no key has ever been configured, everybody may ask. Once there was one, an empty bucket is not an invitation: NATS
   * may have lost its files, and a front door must not open because of that. A restart of the router opens it again.
   */
  get isOpen(): boolean {
    return !this.#hasHadKeys
  }

  async #watch(bucket: Bucket, take: (entry: KeyValueEntry) => void): Promise<void> {
    const entry = (each: KeyValueEntry) => this.#guarded(bucket, () => take(each))
    this.#subscriptions.push(await this.#bus.watch(bucket, { entry, synced: () => this.#synced.add(bucket) }))
  }

  #takeModel({ key, value }: KeyValueEntry): void {
    const known = this.#models.get(key)
    if (value === null) {
      if (known === undefined) return
      this.#models.delete(key)
      this.#events.modelGone(known.deployment)
    } else this.#models.set(key, decode(ModelRecord, value))
    this.#byName.clear()
    for (const model of this.#models.values())
      for (const name of [model.deployment, ...model.servedNames]) this.#byName.set(name, model)
  }

  #takeRoute({ key, value }: KeyValueEntry): void {
    if (value === null) {
      const known = this.#routes.get(key)
      this.#routes.delete(key)
      if (known !== undefined) this.#events.routeGone(known.route)
    } else this.#routes.set(key, decode(RouteRecord, value))
    this.#routeByName.clear()
    // The older one last, so that it keeps a name that two have for a moment.
    for (const route of [...this.#routes.values()].sort(youngestFirst)) this.#routeByName.set(route.name, route)
  }

  #takeKey({ key, value }: KeyValueEntry): void {
    if (value === null) this.#keys.delete(key)
    else {
      this.#keys.set(key, decode(KeyRecord, value))
      this.#hasHadKeys = true
    }
  }

  #takeWorker({ key, value }: KeyValueEntry): void {
    const id = WorkerId.parse(key)
    if (value !== null) {
      const record = decode(WorkerRecord, value)
      this.#workers.register(record, this.#clock.now())
      this.#events.workersChanged(record.deployment)
    } else if (this.#workers.remove(id, this.#clock.now())) this.#events.workerLost(id)
  }

  #takeReport(payload: Uint8Array): void {
    this.#guarded('report', () => {
      const report = decodeChecked(isWorkerReport, WorkerReport, payload)
      const taken = this.#workers.report(report, this.#clock.now())
      if (taken === 'stopped') this.#events.workerLost(report.worker)
      else if (taken === 'taken') this.#events.workersChanged(report.deployment)
    })
  }

  #guarded(what: string, take: () => void): void {
    try {
      take()
    } catch (error) {
      this.#log.warn({ what, error }, 'message dropped: not of its declared form')
    }
  }
}

const youngestFirst = (a: RouteRecord, b: RouteRecord) => b.created - a.created || (a.route < b.route ? 1 : -1)
