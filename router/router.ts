/**
 * The router without its sockets: everything beneath HTTP, wired. Bus, clock and randomness come in, so that the simulation runs
 * this very code on a fake clock.
 *
 * Owns the order of start and stop and the one timer that looks after all deadlines. What happens to requests is in
 * `requests.ts`, what waits is in `lanes.ts`, what is sent is in `dispatch.ts`.
 */
import type { DigestOwner } from '#algorithms/prefixDigest.ts'
import { Failure } from '#contracts/failure.ts'
import type { RouterId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { Work } from '#contracts/messages.ts'
import type { KeyRecord, ModelRecord, RouteRecord } from '#contracts/records.ts'
import type { RouterConfig } from '#contracts/routerConfig.ts'
import { subjects } from '#contracts/subjects.ts'
import type { Bus, BusState, Subscription } from '#runtime/bus.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { Authenticator } from './auth.ts'
import type { KeptAnswer } from './cascade.ts'
import { pick, type PickRule } from './core/pick.ts'
import type { PickPlan } from './core/pickPlan.ts'
import { estimatedTokens, needOf } from './core/prompt.ts'
import { targetsOf } from './core/route.ts'
import { WorkerTable } from './core/workers.ts'
import { Demand } from './demand.ts'
import { Deployments } from './deployments.ts'
import { Dispatcher } from './dispatch.ts'
import { drainingFailure } from './draining.ts'
import { ExpertChoices } from './expertChoices.ts'
import { Feedback, type Labelled, type LabelTaken } from './feedback.ts'
import { observeExperts } from './expertLane.ts'
import { Gates } from './gates.ts'
import { Lanes } from './lanes.ts'
import { RequestMeter, type RouterMetrics } from './metrics.ts'
import { Registry } from './registry.ts'
import type { RequestHandle, ResponseSink, RoutedRequest } from './request.ts'
import { Requests } from './requests.ts'
import { newRouterId } from './routerId.ts'
import { type Decided, type NamedRequest, Routing } from './routing.ts'
import type { StagedRecord, StagedRequest } from './staged.ts'
import { type RiskParts, StagedRoutes } from './stagedRoutes.ts'
import { TenantsExchange } from './tenantsNews.ts'

export interface RouterOptions extends RiskParts {
  readonly bus: Bus
  readonly clock: Clock
  readonly log: Log
  readonly metrics: RouterMetrics
  readonly config: RouterConfig
  /** 0 ≤ x < 1: ids and seeds. */
  readonly random: () => number
  /** Measurements put other rules beside ours. */
  readonly pick?: PickRule
}

export interface ModelView {
  readonly record: ModelRecord
  /** At least one live worker. */
  readonly ready: boolean
}

export interface RouteView {
  readonly record: RouteRecord
  /** Of the deployments that may get a request and exist. */
  readonly models: readonly ModelView[]
}

export interface Router {
  readonly id: RouterId
  /** Subscribes and lists; resolves once the configuration was asked for (`ready` says when it is there). */
  start(): Promise<void>
  submit(request: RoutedRequest, sink: ResponseSink): RequestHandle
  /** For what belongs to a client's request that was accepted already: not refused while the router drains. */
  submitInner(request: RoutedRequest, sink: ResponseSink): RequestHandle
  /** Throws the Failure to answer with. */
  authenticate(authorization: string | undefined): KeyRecord
  model(name: string): ModelView | undefined
  models(): ModelView[]
  route(name: string): RouteView | undefined
  routes(): RouteView[]
  /** Which deployment gets a request, whether it names one or a route; counted and logged. Undefined: nobody has the name. */
  decide(request: NamedRequest): Decided | undefined
  /** What `decide` would say now. */
  explain(request: NamedRequest): Decided | undefined
  /** Which worker of the deployment would get this prompt now, and why. */
  planPick(model: ModelRecord, work: Work, owner: DigestOwner): PickPlan
  /** The route of that name, where it takes several steps. */
  stagedRoute(name: string): StagedRecord | undefined
  /** Throws the Failure to answer with, where nothing is begun; else the request is answered whenever it is. */
  serveStaged(route: StagedRecord, request: StagedRequest): RequestHandle
  /** A client's word on an answer that it got. */
  takeLabel(labelled: Labelled): LabelTaken
  /** Whom a pair's gate names, for who only wants to know. */
  readonly gates: Pick<Gates, 'choose'>
  /** A request id or seed that no other request of this router has. */
  newId(): string
  newSeed(): number
  /** Waiting requests of a deployment. */
  queued(model: ModelRecord): number
  readonly ready: boolean
  readonly draining: boolean
  /** Requests that have not ended; one to a route of several steps counts beside what is asked for it. */
  readonly active: number
  /** Dispatches given up whose worker has not confirmed the end yet. */
  readonly attempts: number
  /** Sets the gauges; call before the metrics are read. */
  observe(): void
  /** Not ready from now on; what comes within `acceptMs` is still answered (its connection is then closed), later it is refused. */
  drain(acceptMs: number): void
  /** Ends what still runs, with a clear error each, and lets go of bus and clock. */
  stop(): void
}

export function createRouter(options: RouterOptions): Router {
  return new BusRouter(options)
}

const refusedAfterMs = limits.queue.retryAfterMsDefault

class BusRouter implements Router {
  readonly id: RouterId
  readonly #options: RouterOptions
  readonly #workers = new WorkerTable()
  readonly #meter: RequestMeter
  readonly #requests: Requests
  readonly #lanes: Lanes
  readonly #dispatcher: Dispatcher
  readonly #registry: Registry
  readonly #authenticator: Authenticator
  readonly #routing: Routing
  readonly #staged: StagedRoutes
  readonly #feedback: Feedback
  readonly gates: Gates
  readonly #demand: Demand
  readonly #tenants: TenantsExchange
  readonly #timers: Timer[] = []
  readonly #subscriptions: Subscription[] = []
  /** Ids stand in every frame of a stream, so they are short. */
  readonly #idStem: string
  #draining = false
  #stopped = false
  /** While it drains. */
  #acceptsUntil = Number.NEGATIVE_INFINITY
  #ids = 0

  constructor(options: RouterOptions) {
    const { bus, clock, log, metrics, config, random } = options
    const workers = this.#workers
    this.#options = options
    this.id = config.router ?? newRouterId(random)
    this.#idStem = this.id.replace(/^router-/, '')
    this.#meter = new RequestMeter(metrics)
    this.gates = new Gates({ router: this.id, bus, clock, log, workers })
    const { accessLog } = config
    const experts = new ExpertChoices({ gates: this.gates, clock, log, metrics, accessLog })
    const requests = new Requests({ clock, workers, meter: this.#meter, experts })
    const lanes = new Lanes({
      clock,
      workers,
      pick: options.pick ?? pick,
      send: (job, picked) => requests.send(job, picked),
      drop: (job, failure) => requests.drop(job, failure),
      held: {
        began: () => this.#demand.reportSoon(),
        ended: (deployment, how, heldMs) => this.#meter.holdEnded(deployment, how, heldMs),
      },
    })
    this.#requests = requests
    this.#lanes = lanes
    this.#dispatcher = new Dispatcher({ router: this.id, bus, clock, log, metrics, workers, events: requests })
    requests.connect({ dispatcher: this.#dispatcher, lanes })
    this.#registry = new Registry({
      bus,
      clock,
      log,
      workers,
      events: {
        workersChanged: (deployment) => lanes.place(deployment),
        workerLost: (id) => this.#dispatcher.lose(id),
        modelGone: (deployment) => {
          lanes.forget(deployment)
          this.#meter.forget(deployment)
        },
        routeGone: (route) => this.#staged.forget(route),
      },
    })
    const registry = this.#registry
    this.#demand = new Demand({
      router: this.id,
      bus,
      clock,
      meter: this.#meter,
      deployments: () => registry.models().map(({ deployment }) => deployment),
      depth: (of) => lanes.depth(of),
    })
    this.#tenants = new TenantsExchange({
      router: this.id,
      bus,
      clock,
      log,
      queues: () => lanes.queues(),
      changed: (deployment, wasServed) => lanes.heardElsewhere(deployment, wasServed),
    })
    this.#authenticator = new Authenticator(registry)
    const deployments = new Deployments({ registry, workers, lanes, meter: this.#meter, clock })
    this.#routing = new Routing({ registry, deployments, clock, log, metrics, accessLog })
    this.#feedback = new Feedback({ bus, clock, log })
    const kept = (answer: KeptAnswer) => this.#feedback.remember(answer)
    this.#staged = new StagedRoutes({ ...options, deployments, routing: this.#routing, kept })
  }

  async start(): Promise<void> {
    const { bus, clock } = this.#options
    this.#subscriptions.push(
      bus.subscribe(subjects.stream(this.id), (payload) => this.#dispatcher.receive(payload)),
      bus.onState((state) => this.#onBusState(state)),
    )
    this.#timers.push(clock.every(limits.router.sweepIntervalMs, () => this.#sweep()))
    this.#demand.start()
    this.#tenants.start()
    this.gates.start()
    this.#feedback.start()
    await this.#registry.start()
  }

  submit(request: RoutedRequest, sink: ResponseSink): RequestHandle {
    return this.#submit(request, sink, this.#refusal())
  }

  submitInner(request: RoutedRequest, sink: ResponseSink): RequestHandle {
    return this.#submit(request, sink, this.#stopped ? drainingFailure() : this.#busRefusal())
  }

  authenticate(authorization: string | undefined): KeyRecord {
    return this.#authenticator.authenticate(authorization)
  }

  model(name: string): ModelView | undefined {
    const record = this.#registry.model(name)
    return record === undefined ? undefined : this.#view(record)
  }

  models(): ModelView[] {
    return this.#registry.models().map((record) => this.#view(record))
  }

  route(name: string): RouteView | undefined {
    const record = this.#registry.model(name) === undefined ? this.#registry.route(name) : undefined
    return record === undefined ? undefined : this.#routeView(record)
  }

  routes(): RouteView[] {
    return this.#registry.routes().flatMap(({ name }) => this.route(name) ?? [])
  }

  decide(request: NamedRequest): Decided | undefined {
    return this.#routing.decide(request)
  }

  explain(request: NamedRequest): Decided | undefined {
    const route = this.#routing.staged(request.model)
    return route === undefined ? this.#routing.explain(request) : this.#staged.explain(route)
  }

  planPick(model: ModelRecord, work: Work, owner: DigestOwner): PickPlan {
    return this.#lanes.plan(model.deployment, needOf(work, { owner, name: '', promptTokens: estimatedTokens(work) }))
  }

  stagedRoute(name: string): StagedRecord | undefined {
    return this.#routing.staged(name)
  }

  serveStaged(route: StagedRecord, request: StagedRequest): RequestHandle {
    const refusal = this.#refusal()
    if (refusal !== null) throw refusal
    return this.#staged.run(route, request)
  }

  takeLabel(labelled: Labelled): LabelTaken {
    return this.#feedback.take(labelled)
  }

  newId(): string {
    this.#ids += 1
    return `${this.#idStem}-${this.#ids.toString(36)}`
  }

  newSeed(): number {
    return Math.floor(this.#options.random() * 0x1_00_00_00_00)
  }

  queued(model: ModelRecord): number {
    return this.#lanes.depth(model.deployment).requests
  }

  get ready(): boolean {
    return !this.#draining && this.#registry.synced && this.#options.bus.state === 'connected'
  }

  get draining(): boolean {
    return this.#draining
  }

  get active(): number {
    return this.#requests.size + this.#staged.undecided
  }

  get attempts(): number {
    return this.#dispatcher.size
  }

  observe(): void {
    const { metrics, bus, clock } = this.#options
    metrics.natsConnected.set({}, bus.state === 'connected' ? 1 : 0)
    for (const record of this.#registry.models()) {
      const { deployment } = record
      const depth = this.#lanes.depth(deployment)
      metrics.running.set({ model: deployment }, this.#meter.running(deployment))
      metrics.queueDepth.set({ model: deployment }, depth.requests)
      metrics.queueBytes.set({ model: deployment }, depth.bytes)
      metrics.held.set({ model: deployment }, depth.held)
      observeExperts(record, this.#lanes.waitingExperts(deployment), metrics)
      const standings = this.#workers.of(deployment).map((worker) => this.#workers.standing(worker, clock.now()))
      for (const state of ['live', 'suspect', 'loading', 'draining'] as const)
        metrics.workers.set({ model: deployment, state }, standings.filter((each) => each === state).length)
    }
  }

  drain(acceptMs: number): void {
    this.#draining = true
    this.#acceptsUntil = this.#options.clock.now() + acceptMs
  }

  stop(): void {
    this.#draining = true
    this.#stopped = true
    this.#acceptsUntil = Number.NEGATIVE_INFINITY
    this.#requests.endAll(drainingFailure())
    for (const timer of this.#timers.splice(0)) timer.cancel()
    this.#demand.stop()
    this.#tenants.stop()
    for (const subscription of this.#subscriptions.splice(0)) subscription.unsubscribe()
    this.gates.stop()
    this.#staged.stop()
    this.#feedback.stop()
    this.#registry.stop()
  }

  #submit(request: RoutedRequest, sink: ResponseSink, refusal: Failure | null): RequestHandle {
    return refusal === null ? this.#requests.submit(request, sink) : this.#requests.refuse(request, sink, refusal)
  }

  #refusal(): Failure | null {
    if (this.#draining && this.#options.clock.now() >= this.#acceptsUntil) return drainingFailure()
    return this.#busRefusal()
  }

  #busRefusal(): Failure | null {
    if (this.#options.bus.state === 'connected') return null
    return new Failure('bus-unavailable', 'the router has lost its connection to NATS and is reconnecting', {
      retry: { kind: 'after', afterMs: refusedAfterMs },
    })
  }

  #onBusState(state: BusState): void {
    this.#options.log.info({ state }, 'bus state changed')
    if (state !== 'connected') return
    this.#options.metrics.natsReconnects.inc({})
    this.#workers.reconnected(this.#options.clock.now())
    this.#dispatcher.recover()
  }

  #sweep(): void {
    if (this.#options.bus.state === 'connected') {
      for (const id of this.#workers.sweep(this.#options.clock.now())) {
        this.#options.log.warn({ worker: id }, 'worker gone: silent too long')
        this.#dispatcher.lose(id)
      }
      this.#dispatcher.sweep()
      this.#lanes.sweep()
    }
    this.#requests.sweep()
  }

  #routeView(record: RouteRecord): RouteView {
    const served = targetsOf(record).filter(({ weight }) => weight > 0)
    const models = served.flatMap(({ deployment }) => this.#registry.deployment(deployment) ?? [])
    return { record, models: models.map((model) => this.#view(model)) }
  }

  #view(record: ModelRecord): ModelView {
    const now = this.#options.clock.now()
    const workers = this.#workers.of(record.deployment)
    return { record, ready: workers.some((worker) => this.#workers.standing(worker, now) === 'live') }
  }
}
