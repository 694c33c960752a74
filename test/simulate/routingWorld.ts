/**
 * Routers and workers for comparisons of picks: the real router, the real worker with the simulated engine on a measured cost curve,
 * the fake network and clock. Says when each request got its first token, what of its prompt was held, and how busy engines were.
 */
import { type DeploymentName, RequestId, Revision, RouterId, TenantId, WorkerId } from '#contracts/ids.ts'
import type { CostCurveMessage } from '#contracts/messages.ts'
import { ModelRecord } from '#contracts/records.ts'
import { RouterConfig } from '#contracts/routerConfig.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import { silentLog } from '#runtime/log.ts'
import { encode } from '#runtime/messages.ts'
import type { PickRule } from '../../router/core/pick.ts'
import type { RequestOutcome, RoutedRequest } from '../../router/request.ts'
import { createRouter, type Router } from '../../router/router.ts'
import { createFakeNetwork, type FakeNetwork } from './fakeBus.ts'
import { createFakeClock, type FakeClock } from './fakeClock.ts'
import type { Random } from './random.ts'
import type { TraceRequest } from './routingTrace.ts'
import { routerMetricsShared } from './sharedMetrics.ts'
import { startSimulatedWorker } from './simulatedWorker.ts'

export interface RoutingWorldOptions {
  readonly random: Random
  readonly workers: number
  readonly routers: number
  readonly slots: number
  readonly contextTokensMax: number
  readonly curve: CostCurveMessage
  /** One for each router: some rules remember whom they picked last. */
  readonly pick?: () => PickRule
  /** The machine's own time, for what a decision takes; absent: not measured. */
  readonly stopwatch?: () => number
}

export interface Served {
  readonly tenant: string
  readonly askedAt: number
  readonly router: number
  firstTextAt: number | null
  endedAt: number | null
  outcome: RequestOutcome | null
  /** What the router took until it had sent it, on the stopwatch. */
  submitMs: number
}

const deployment = 'sim' as DeploymentName
const revision = Revision.parse('sim-1')
const queue = { requestsMax: 100_000, bytesMax: 10_000_000_000 }

export class RoutingWorld {
  readonly clock: FakeClock = createFakeClock()
  readonly routers: readonly Router[]
  readonly served: Served[] = []
  /** Time that all engines together spent in steps that ended before the trace did. */
  #stepMs = 0
  #countsUntil = Number.POSITIVE_INFINITY
  readonly #options: RoutingWorldOptions
  readonly #network: FakeNetwork
  readonly #model: ModelRecord
  readonly #bugs: unknown[] = []

  static async start(options: RoutingWorldOptions): Promise<RoutingWorld> {
    const world = new RoutingWorld(options)
    for (const router of world.routers) await router.start()
    const isReady = () => world.routers.every((router) => router.model(deployment)?.ready === true)
    if (!(await world.clock.runUntil(isReady, 10_000))) throw new Error('the world does not become ready')
    await world.clock.advance(500)
    return world
  }

  private constructor(options: RoutingWorldOptions) {
    this.#options = options
    this.#network = createFakeNetwork({ clock: this.clock, random: options.random.fork('network') })
    this.#model = modelRecord(options)
    void this.#network.connect('operator').put('models', deployment, encode(this.#model))
    for (let i = 0; i < options.workers; i++) this.#startWorker(`worker-${i}`)
    this.routers = Array.from({ length: options.routers }, (_, i) => this.#createRouter(`router-${i}`))
  }

  /** Every request to the routers in turn, or to the one that is named; resolves when all have ended. */
  async run(
    trace: readonly (TraceRequest & { tenant?: string; weight?: number; router?: number })[],
  ): Promise<Served[]> {
    const startedAt = this.served.length
    this.#stepMs = 0
    this.#countsUntil = this.clock.now() + Math.max(0, ...trace.map(({ atMs }) => atMs))
    for (const [index, request] of trace.entries())
      this.clock.after(request.atMs, () => this.#submit(request, index, request.router ?? index % this.routers.length))
    const all = () =>
      this.served.length === startedAt + trace.length && this.served.every(({ endedAt }) => endedAt !== null)
    if (!(await this.clock.runUntil(all, 3_600_000))) throw new Error('some requests do not end')
    if (this.#bugs.length > 0) throw this.#bugs[0]
    return this.served.slice(startedAt)
  }

  /** Of the time that the trace took, idle ends not counted. */
  busyShare(overMs: number): number {
    return this.#stepMs / (overMs * this.#options.workers)
  }

  #submit(request: TraceRequest & { tenant?: string; weight?: number }, index: number, routerIndex: number): void {
    const router = this.routers[routerIndex]
    if (router === undefined) throw new Error(`no router ${routerIndex}`)
    const askedAt = this.clock.now()
    const tenant = request.tenant ?? 'alpha'
    const served: Served = {
      tenant,
      askedAt,
      router: routerIndex,
      firstTextAt: null,
      endedAt: null,
      outcome: null,
      submitMs: 0,
    }
    this.served.push(served)
    const routed: RoutedRequest = {
      id: RequestId.parse(`request-${index}`),
      tenant: TenantId.parse(tenant),
      weight: request.weight ?? 1,
      priority: 0,
      model: this.#model,
      works: [request.work],
      choices: 1,
      sampling: { ...samplingDefaults, seed: index, temperature: 0, maxTokens: request.answerTokens, ignoreEos: true },
      streaming: true,
      bytes: 1_000,
      deadlineMs: 3_000_000,
      arrivedAt: askedAt,
    }
    const before = this.#options.stopwatch?.() ?? 0
    router.submit(routed, {
      delta: () => void (served.firstTextAt ??= this.clock.now()),
      restart: () => undefined,
      end: (outcome) => {
        served.endedAt = this.clock.now()
        served.outcome = outcome
      },
    })
    served.submitMs = (this.#options.stopwatch?.() ?? 0) - before
  }

  #startWorker(name: string): void {
    const { slots, contextTokensMax, curve } = this.#options
    startSimulatedWorker({
      worker: WorkerId.parse(name),
      deployment,
      revision,
      bus: this.#network.connect(name),
      clock: this.clock.process(name),
      slots,
      contextTokensMax,
      curve,
      faults: [],
      onStep: (ms) => {
        if (this.clock.now() <= this.#countsUntil) this.#stepMs += ms
      },
      crash: () => undefined,
      onBug: (error) => this.#bugs.push(error),
    })
  }

  #createRouter(name: string): Router {
    const random = this.#options.random.fork(name)
    return createRouter({
      bus: this.#network.connect(name),
      clock: this.clock.process(name),
      log: silentLog,
      metrics: routerMetricsShared(),
      config: RouterConfig.parse({ router: RouterId.parse(name), nats: { url: 'nats://fake', user: 'router' } }),
      random: () => random.next(),
      ...(this.#options.pick === undefined ? {} : { pick: this.#options.pick() }),
    })
  }
}

function modelRecord({ contextTokensMax }: RoutingWorldOptions): ModelRecord {
  return ModelRecord.parse({
    deployment,
    servedNames: [deployment],
    revision,
    created: 1,
    contextTokensMax,
    capabilities: { chat: true, completions: true, embeddings: false, grammar: false },
    simulated: true,
    reproducible: 'no',
    slo: { ttftMs: 1_000, tpotMs: 100 },
    queue,
  })
}
