/**
 * The local platform: resources from files, workers as child processes, status in memory (`GET /status` shows it).
 *
 * Decides nothing. Sole writer of what is desired, of the crash history and of the statuses.
 */
import { type DeploymentName, WorkerId } from '#contracts/ids.ts'
import type { ModelDeploymentStatus } from '#contracts/resources/modelDeployment.ts'
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { afterCrash, endedInOrder } from '../core/backOff.ts'
import { servedBySpec } from '../core/calibrations.ts'
import type { Crashes, Desired } from '../core/observed.ts'
import type { RevisionHistory } from '../core/revision.ts'
import { workerConfigOf, workerDrainMs } from '../core/workerConfig.ts'
import type { Platform, PlatformView, WorkerOrder } from '../platform.ts'
import type { Labels } from '../labels.ts'
import type { Heard } from '../reports.ts'
import type { RouteState } from '../core/routeStatus.ts'
import { desiredOf, type Known, merge } from './desired.ts'
import { type ProcessSettings, type WorkerEnded, WorkerProcesses } from './processes.ts'
import type { Resources } from './resources.ts'
import { type FileSources, LocalRoutes } from './routes.ts'
import type { WorkerLog } from './workerLog.ts'

export interface LocalPlatformOptions {
  readonly processes: ProcessSettings
  readonly nats: { readonly url: string; readonly workerUser: string }
  readonly cacheDir: string
  readonly drainGraceMs: number
  readonly logLevel: WorkerConfig['logLevel']
  readonly clock: Clock
  readonly epochMs: () => number
  readonly random: () => number
  readonly workerLog: WorkerLog
  readonly log: Log
  /** What a worker last said of itself. */
  readonly lastHeard: (worker: WorkerId) => Heard | null
  readonly labels: Labels
}

interface Memory {
  crashes: Crashes | null
  restarts: number
  status: ModelDeploymentStatus | null
  /** In memory is enough: local workers end with their operator. */
  history: RevisionHistory
}

export class LocalPlatform implements Platform {
  readonly #options: LocalPlatformOptions
  readonly #processes: WorkerProcesses
  #known: readonly Known[] = []
  #desired: ReadonlyMap<DeploymentName, Desired> = new Map()
  readonly #routes: LocalRoutes
  #problems: readonly string[] = []
  readonly #memory = new Map<DeploymentName, Memory>()
  readonly #onChange: ((name: DeploymentName) => void)[] = []
  readonly #onWorkerEnd: ((worker: WorkerId) => void)[] = []

  constructor(options: LocalPlatformOptions) {
    this.#options = options
    this.#routes = new LocalRoutes(options.labels)
    this.#processes = new WorkerProcesses({
      settings: options.processes,
      clock: options.clock,
      log: options.workerLog,
      onEnd: (ended) => this.#ended(ended),
    })
  }

  /** The new good state of the files. */
  setResources(resources: Resources): void {
    this.#known = merge(this.#known, resources, Math.floor(this.#options.epochMs() / 1_000))
    const { deployments, routes } = desiredOf(this.#known)
    this.#desired = deployments
    this.#routes.set(routes, this.#fileSources(resources))
    this.#judgeRoutes()
    this.#problems = []
    for (const name of this.#desired.keys()) this.#remember(name)
    this.#announceAll()
  }

  /** The newest edit cannot be taken; the state before it stays. */
  setProblems(problems: readonly string[]): void {
    this.#problems = problems
    this.#announceAll()
  }

  routes(): readonly RouteState[] {
    return this.#routes.states()
  }

  /** What labels say of a route has changed. */
  routeLabelled(): void {
    this.#judgeRoutes()
  }

  get problems(): readonly string[] {
    return this.#problems
  }

  get workersRunning(): number {
    return this.#processes.list().length
  }

  /** What did not end in time: the operator is about to end itself. */
  killAll(): void {
    this.#processes.killAll()
  }

  names(): readonly DeploymentName[] {
    return [...this.#memory.keys()]
  }

  view(name: DeploymentName): PlatformView {
    const memory = this.#memory.get(name)
    return {
      desired: this.#desired.get(name) ?? null,
      workers: this.#processes.list().filter(({ deployment }) => deployment === name),
      crashes: memory?.crashes ?? null,
      restarts: memory?.restarts ?? 0,
      status: memory?.status ?? null,
      history: memory?.history ?? [],
      problems: this.#problems,
    }
  }

  prepare(): void {
    // Processes end with us, and leave nothing.
  }

  upkeep(): void {
    // Nothing stands beside a process.
  }

  startWorker(order: WorkerOrder): void {
    const config = this.#configFor(order)
    this.#processes.start(config)
    this.#announce(order.deployment)
  }

  drainWorker(worker: WorkerId): void {
    this.#processes.drain(worker)
  }

  killWorker(worker: WorkerId, why: 'grace-over' | 'unresponsive'): void {
    this.#processes.kill(worker, why === 'grace-over' ? null : 'fell silent and was killed')
  }

  writeStatus(name: DeploymentName, status: ModelDeploymentStatus): void {
    this.#remember(name).status = status
    this.#judgeRoutes()
  }

  writeHistory(name: DeploymentName, history: RevisionHistory): void {
    this.#remember(name).history = history
  }

  forget(name: DeploymentName): void {
    if (!this.#desired.has(name)) this.#memory.delete(name)
  }

  onChange(handler: (name: DeploymentName) => void): void {
    this.#onChange.push(handler)
  }

  onWorkerEnd(handler: (worker: WorkerId) => void): void {
    this.#onWorkerEnd.push(handler)
  }

  #configFor(order: WorkerOrder): WorkerConfig {
    const { nats, cacheDir, logLevel, random } = this.#options
    const drainGraceMs = workerDrainMs(this.#options.drainGraceMs)
    const life = Math.floor(random() * 36 ** 6)
      .toString(36)
      .padStart(6, '0')
    const worker = WorkerId.parse(`${order.deployment}-${order.revision.slice(0, 5)}-${life}`)
    const place = {
      nats: { url: nats.url, user: nats.workerUser },
      metricsPort: 0,
      metricsHost: '127.0.0.1',
      drainGraceMs,
    }
    return workerConfigOf({ ...order, worker }, { ...place, cacheDir, logLevel })
  }

  #ended(ended: WorkerEnded): void {
    const { clock, random, log, lastHeard } = this.#options
    const heard = lastHeard(ended.worker)
    const since = heard?.readySince ?? null
    const fields = { worker: ended.worker, pid: ended.pid, code: ended.code, end: ended.message }
    const drained = endedInOrder(ended.code, heard?.report.state ?? null)
    if (ended.asked || drained) log.info(fields, 'worker ended')
    else {
      const memory = this.#remember(ended.deployment)
      const message = `worker ${ended.worker} ${ended.message}`
      const readyMs = since === null ? 0 : clock.now() - since
      memory.crashes = afterCrash(memory.crashes, { ...ended, message, readyMs }, clock.now(), random())
      memory.restarts += 1
      log.warn({ ...fields, inARow: memory.crashes.inARow }, 'worker ended by itself')
    }
    for (const handler of this.#onWorkerEnd) handler(ended.worker)
    this.#announce(ended.deployment)
  }

  #fileSources({ configMaps }: Resources): FileSources {
    const texts = new Map(configMaps.map(({ metadata, data }) => [metadata.name, data]))
    const served = new Map([...this.#desired].map(([name, { spec }]) => [String(name), servedBySpec(spec)]))
    return { configMap: (name) => texts.get(name) ?? null, servedBy: (name) => served.get(name) ?? null }
  }

  #judgeRoutes(): void {
    const isReady = (name: DeploymentName) =>
      this.#memory.get(name)?.status?.conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
    this.#routes.judge((given) => {
      const name = [...this.#desired.keys()].find((each) => each === given)
      return name === undefined ? null : isReady(name) ? 'ready' : 'not-ready'
    }, new Date(this.#options.epochMs()).toISOString())
  }

  #remember(name: DeploymentName): Memory {
    const memory = this.#memory.get(name) ?? { crashes: null, restarts: 0, status: null, history: [] }
    this.#memory.set(name, memory)
    return memory
  }

  #announceAll(): void {
    for (const name of this.#memory.keys()) this.#announce(name)
  }

  #announce(name: DeploymentName): void {
    for (const handler of this.#onChange) handler(name)
  }
}
