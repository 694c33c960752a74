/**
 * The whole system on one fake clock and one fake network: an operator's stand-in, router processes, worker processes.
 *
 * Each process has its own clock (halted when it is killed) and its own connection. What the operator's stand-in does is what
 * the real one promises: it publishes the deployment, takes away the registration of a worker it knows to be dead, and starts
 * another one under a new id.
 */
import { Revision, RouterId, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { ModelRecord } from '#contracts/records.ts'
import { Engine, type Fault } from '#contracts/resources/modelDeployment.ts'
import { RouterConfig } from '#contracts/routerConfig.ts'
import type { Bus } from '#runtime/bus.ts'
import { silentLog } from '#runtime/log.ts'
import { encode } from '#runtime/messages.ts'
import type { Worker } from '../../gpu-worker/worker.ts'
import { createRouter, type Router } from '../../router/router.ts'
import { createFakeNetwork, type FakeNetwork, type NetworkOptions } from './fakeBus.ts'
import { createFakeClock, type FakeClock, type ProcessClock } from './fakeClock.ts'
import type { Random } from './random.ts'
import { routerMetricsShared } from './sharedMetrics.ts'
import { startSimulatedWorker } from './simulatedWorker.ts'
import { Witness } from './witness.ts'
import { deploymentName } from './workload.ts'

export interface WorldOptions {
  readonly random: Random
  readonly workers: number
  readonly slots: number
  readonly queueRequestsMax: number
  readonly network: NetworkOptions['faults']
  readonly engineFaults: readonly Fault[]
  /** As the operator would publish it. */
  readonly scaling?: ModelRecord['scaling']
}

export interface RouterProcess {
  readonly name: string
  readonly router: Router
  readonly clock: ProcessClock
}

export interface WorkerProcess {
  readonly name: string
  readonly worker: Worker
  readonly clock: ProcessClock
}

interface ProcessState {
  readonly timers: number
  readonly subscriptions: number
}

export interface IdleState {
  readonly router: ProcessState
  readonly worker: ProcessState
}

function differences(name: string, now: ProcessState, idle: ProcessState): string[] {
  return [
    ...(now.timers > idle.timers ? [`${name}: ${now.timers} timers, ${idle.timers} when idle`] : []),
    ...(now.subscriptions > idle.subscriptions ? [`${name}: ${now.subscriptions} subscriptions`] : []),
  ]
}

const revision = Revision.parse('sim-1')

export class World {
  readonly clock: FakeClock = createFakeClock()
  readonly network: FakeNetwork
  readonly witness: Witness
  readonly model: ModelRecord
  readonly workers = new Map<string, WorkerProcess>()
  /** Workers that were killed, frozen or cut off: the router may call these lost. */
  readonly troubled = new Set<string>()
  readonly bugs: string[] = []
  router: RouterProcess
  readonly #options: WorldOptions
  readonly #operator: Bus
  #names = 0
  #isStopping = false

  static async start(options: WorldOptions): Promise<World> {
    const world = new World(options)
    for (let i = 0; i < options.workers; i++) world.startWorker()
    await world.router.router.start()
    const isReady = () => world.router.router.model(deploymentName)?.ready === options.workers > 0
    if (!(await world.clock.runUntil(() => isReady() && world.readyWorkers() === options.workers, 10_000)))
      throw new Error('the world does not become ready')
    return world
  }

  private constructor(options: WorldOptions) {
    this.#options = options
    const { random, network } = options
    this.network = createFakeNetwork({ clock: this.clock, random: random.fork('network') })
    Object.assign(this.network.faults, network)
    this.witness = new Witness(this.network)
    this.model = modelRecord(options)
    this.#operator = this.network.connect('operator')
    this.#operator.onState((state) => {
      if (state === 'connected') this.#publishModel()
    })
    this.#publishModel()
    this.router = this.#createRouter()
  }

  startWorker(): WorkerProcess {
    const name = this.#name('worker')
    const clock = this.clock.process(name)
    const worker = startSimulatedWorker({
      worker: WorkerId.parse(name),
      deployment: deploymentName,
      revision,
      bus: this.network.connect(name),
      clock,
      slots: this.#options.slots,
      faults: this.#options.engineFaults,
      crash: () => this.crashWorker(name, { knownAfterMs: 100, restartAfterMs: 500 }),
      onBug: (error) => this.bugs.push(`${name}: ${error instanceof Error ? (error.stack ?? '') : String(error)}`),
    })
    const process = { name, worker, clock }
    this.workers.set(name, process)
    return process
  }

  /** `knownAfterMs`: when the operator takes the registration away; null: it never notices. */
  crashWorker(name: string, options: { knownAfterMs: number | null; restartAfterMs: number }): void {
    const worker = this.workers.get(name)
    if (worker === undefined) return
    this.workers.delete(name)
    this.troubled.add(name)
    worker.clock.halt()
    this.network.kill(name)
    if (options.knownAfterMs !== null)
      this.clock.after(options.knownAfterMs, () => this.#untilDone(() => this.#operator.remove('workers', name)))
    this.clock.after(options.restartAfterMs, () => {
      if (!this.#isStopping) this.startWorker()
    })
  }

  /** As SIGSTOP and SIGCONT. */
  freezeWorker(name: string, forMs: number): void {
    const worker = this.workers.get(name)
    if (worker === undefined || worker.clock.frozen) return
    this.troubled.add(name)
    worker.clock.freeze()
    this.network.freeze(name)
    this.clock.after(forMs, () => {
      if (!this.workers.has(name)) return
      this.network.thaw(name)
      worker.clock.thaw()
    })
  }

  cutOff(name: string, options: { forMs: number; noticeMs: number }): void {
    this.troubled.add(name)
    this.network.partition(name, options)
  }

  disconnect(name: string, forMs: number): void {
    this.troubled.add(name)
    this.network.disconnect(name, forMs)
  }

  restartServer(options: { downMs: number; spreadMs: number; keepBuckets: boolean }): void {
    for (const name of this.workers.keys()) this.troubled.add(name)
    this.network.restartServer(options)
  }

  /** Kills the router; its clients see their connections break. The next one has another id. */
  async replaceRouter(): Promise<void> {
    this.router.clock.halt()
    this.network.kill(this.router.name)
    this.router = this.#createRouter()
    await this.router.router.start()
  }

  /** Faults stop; everything that can recover will. */
  heal(): void {
    this.network.faults.lossRate = 0
    this.network.faults.duplicateRate = 0
  }

  /** What is set and subscribed while nothing happens, per kind of process. */
  idleState(): IdleState {
    const worker = [...this.workers.values()][0]
    if (worker === undefined) throw new Error('a world needs a worker')
    return { router: this.#stateOf(this.router), worker: this.#stateOf(worker) }
  }

  /** Everything that a finished run left behind. */
  leftovers(idle: IdleState): string[] {
    const left: string[] = []
    const { router, name } = this.router
    if (router.active > 0) left.push(`${name}: ${router.active} requests are still active`)
    if (router.attempts > 0) left.push(`${name}: ${router.attempts} attempts are still known`)
    if (router.queued(this.model) > 0) left.push(`${name}: ${router.queued(this.model)} requests are still queued`)
    left.push(...differences(name, this.#stateOf(this.router), idle.router))
    for (const worker of this.workers.values()) {
      const { slots } = this.witness.reports.get(worker.name) ?? { slots: { busy: -1, waiting: -1 } }
      if (slots.busy !== 0 || slots.waiting !== 0) left.push(`${worker.name}: slots ${JSON.stringify(slots)}`)
      left.push(...differences(worker.name, this.#stateOf(worker), idle.worker))
    }
    return left
  }

  /** Stops every process in good order and says what it leaves behind. */
  async stop(): Promise<string[]> {
    this.#isStopping = true
    this.router.router.stop()
    const state = { stopped: false }
    const stopping = Promise.all([...this.workers.values()].map(({ worker }) => worker.stop())).then(() => {
      state.stopped = true
    })
    if (!(await this.clock.runUntil(() => state.stopped, limits.drain.graceMs))) return ['the workers do not stop']
    await stopping
    return [this.router, ...this.workers.values()].flatMap(({ name, clock }) => [
      ...(clock.pending > 0 ? [`${name}: ${clock.pending} timers after stop`] : []),
      ...this.network.subscriptions(name).map((subject) => `${name}: subscribed to ${subject} after stop`),
    ])
  }

  /** Every slot that any worker of this run has had. */
  get slotsTotal(): number {
    return this.#options.slots * (this.#options.workers + this.troubled.size)
  }

  readyWorkers(): number {
    return [...this.workers.keys()].filter((name) => this.witness.reports.get(name)?.state === 'ready').length
  }

  #stateOf({ name, clock }: { name: string; clock: ProcessClock }): ProcessState {
    return { timers: clock.pending, subscriptions: this.network.subscriptions(name).length }
  }

  #createRouter(): RouterProcess {
    const name = this.#name('router')
    const clock = this.clock.process(name)
    const random = this.#options.random.fork(name)
    const config = RouterConfig.parse({ router: RouterId.parse(name), nats: { url: 'nats://fake', user: 'router' } })
    const bus = this.network.connect(name)
    const metrics = routerMetricsShared()
    return {
      name,
      clock,
      router: createRouter({ bus, clock, log: silentLog, metrics, config, random: () => random.next() }),
    }
  }

  #publishModel(): void {
    this.#untilDone(() => this.#operator.put('models', deploymentName, encode(this.model)))
  }

  /** The real operator tries again with its next reconcile. */
  #untilDone(write: () => Promise<void>): void {
    write().catch(() => this.clock.after(500, () => this.#untilDone(write)))
  }

  #name(kind: string): string {
    this.#names += 1
    return `${kind}-${this.#names}`
  }
}

function modelRecord({ queueRequestsMax, scaling }: WorldOptions): ModelRecord {
  return ModelRecord.parse({
    deployment: deploymentName,
    servedNames: [deploymentName],
    revision,
    created: 1,
    contextTokensMax: Engine.parse({ kind: 'simulated' }).contextTokensMax,
    capabilities: { chat: true, completions: true, embeddings: false, grammar: false },
    simulated: true,
    reproducible: 'no',
    slo: { ttftMs: 1_000, tpotMs: 100 },
    queue: { requestsMax: queueRequestsMax, bytesMax: 1_000_000 },
    ...(scaling === undefined ? {} : { scaling }),
  })
}
