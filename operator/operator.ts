/**
 * The operator as a whole: wires platform, models, NATS and queue together, and ends them in order.
 *
 * Events only put a name into the queue; everything happens in the reconcile. On shutdown every deployment is treated as
 * deleted, so that the same planner drains the workers, removes their records and kills what does not end.
 */
import { join } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import type { DeploymentName, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { OperatorStatus } from '#contracts/operatorStatus.ts'
import { type Clock, delay } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import type { NatsBus } from '#runtime/nats.ts'
import { ensureBuckets } from '#runtime/natsBuckets.ts'
import type { Settings } from './config.ts'
import { LocalPlatform } from './local/platform.ts'
import { type FileWatch, readFiles, watchFiles } from './local/resourceFiles.ts'
import { readResources, type Resources } from './local/resources.ts'
import { WorkerLog } from './local/workerLog.ts'
import { createOperatorMetrics, Gauges, type OperatorMetrics } from './metrics.ts'
import { type ModelStore, openModelStore } from './models/store.ts'
import { Publisher } from './publish.ts'
import type { Queue } from './queue.ts'
import { createKeysQueue, createReconcileQueue } from './queues.ts'
import type { World } from './reconcile.ts'
import { Reports } from './reports.ts'
import { operatorStatus } from './statusPage.ts'

export interface OperatorPorts {
  readonly settings: Settings
  readonly bus: NatsBus
  readonly clock: Clock
  readonly epochMs: () => number
  readonly random: () => number
  readonly pid: number
  readonly log: Log
}

export interface Operator {
  readonly metrics: OperatorMetrics
  status(): OperatorStatus
  /** Brings the gauges up to date; called before the metrics page is written. */
  updateGauges(): void
  ready(): boolean
  /** Drains every worker, cleans up what it published and closes the bus. Bounded by the drain grace. */
  stop(): Promise<void>
}

/** Throws `Failure('invalid-configuration')` with one line per mistake where the resources cannot be read. */
export async function startOperator(ports: OperatorPorts): Promise<Operator> {
  const { settings, bus, clock, log } = ports
  const resources = await readAll(settings.config.resources)
  const running = await assemble(ports)
  await ensureBuckets(bus)
  await Promise.all([running.publisher.open(), running.reports.attach(bus)])
  // Keys before models: a router that knows a model but no key is open to everybody.
  running.publisher.setKeys(resources.apiKeys)
  await running.publisher.syncKeys()
  running.platform.setResources(resources)
  connectEvents(running, ports)
  const watch = await watchFiles(settings.config.resources, { clock, log, onChange: () => void reread(running, ports) })
  return operatorOf(running, watch, ports)
}

interface Running {
  readonly platform: LocalPlatform
  readonly store: ModelStore
  readonly publisher: Publisher
  readonly reports: Reports
  readonly queue: Queue<DeploymentName>
  readonly keysQueue: Queue<'keys'>
  readonly metrics: OperatorMetrics
  readonly world: World
  stopping: boolean
}

async function assemble(ports: OperatorPorts): Promise<Running> {
  const { settings, bus, clock, random, log } = ports
  const metrics = createOperatorMetrics()
  const reports = new Reports({ clock, log, onChange: (name) => queue.add(name) })
  const publisher = new Publisher({
    bus,
    log,
    onListed: (bucket) => (bucket === 'keys' ? keysQueue.add('keys') : addAll()),
  })
  const store = await openModelStore({
    ...ports,
    cacheDir: settings.config.cacheDir,
    settings: settings.sources,
    offline: settings.config.offline,
    onFetched: (result) => metrics.downloads.inc({ result }),
    onFreshBytes: (bytes) => metrics.downloadBytes.inc({}, bytes),
  })
  const platform = createPlatform(ports, reports)
  const world: World = {
    ...ports,
    platform,
    store,
    publisher,
    reports,
    routerUrl: settings.config.routerUrl,
    drainGraceMs: settings.config.drainGraceMs,
    onRestart: (deployment) => metrics.restarts.inc({ deployment }),
  }
  const queue = createReconcileQueue(world, metrics, random)
  const keysQueue = createKeysQueue(world, random)
  const addAll = () => {
    for (const name of new Set([...platform.names(), ...publisher.names()])) queue.add(name)
  }
  return { platform, store, publisher, reports, queue, keysQueue, metrics, world, stopping: false }
}

function createPlatform({ settings, clock, epochMs, random, log }: OperatorPorts, reports: Reports): LocalPlatform {
  const { config } = settings
  return new LocalPlatform({
    processes: settings.processes,
    nats: { url: config.nats.url, workerUser: config.workerNatsUser },
    cacheDir: config.cacheDir,
    logLevel: config.logLevel,
    clock,
    epochMs,
    random,
    workerLog: new WorkerLog(join(config.stateDir, 'workers.log'), log),
    log,
    lastHeard: (worker) => reports.of(worker),
  })
}

/** Who tells the queue what. */
function connectEvents(running: Running, { bus, clock, log }: OperatorPorts): void {
  const { platform, store, publisher, reports, queue, keysQueue } = running
  const addAll = () => {
    for (const name of new Set([...platform.names(), ...publisher.names()])) queue.add(name)
  }
  platform.onChange((name) => queue.add(name))
  platform.onWorkerEnd((worker) => {
    reports.drop(worker)
    void removeRegistration(publisher, worker, log)
  })
  store.onChange(addAll)
  bus.onState((state) => {
    if (state !== 'connected') return
    // A server that came back without its files has no buckets; routers and workers wait for us to make them.
    ensureBuckets(bus).then(
      () => {
        keysQueue.add('keys')
        addAll()
      },
      (error: unknown) => log.warn({ error }, 'buckets cannot be checked'),
    )
  })
  clock.every(limits.operator.resyncMs, addAll)
  addAll()
}

async function removeRegistration(publisher: Publisher, worker: WorkerId, log: Log): Promise<void> {
  try {
    await publisher.removeWorker(worker)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    // Its time to live ends it a little later.
    log.warn({ worker, error }, 'registration of an ended worker is not removed')
  }
}

async function readAll(path: string): Promise<Resources> {
  const result = readResources(await readFiles(path))
  if (result.kind === 'read') return result.resources
  throw new Failure('invalid-configuration', result.problems.join('\n'))
}

async function reread(running: Running, { settings, log }: OperatorPorts): Promise<void> {
  try {
    const resources = await readAll(settings.config.resources)
    if (running.stopping) return
    running.publisher.setKeys(resources.apiKeys)
    running.keysQueue.add('keys')
    running.platform.setResources(resources)
    log.info({ deployments: resources.deployments.length, apiKeys: resources.apiKeys.length }, 'resources read')
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const problems = error.message.split('\n')
    running.platform.setProblems(problems)
    log.error({ problems }, 'resources are not taken; the last good state is kept')
  }
}

function operatorOf(running: Running, watch: FileWatch, ports: OperatorPorts): Operator {
  const { platform, queue, metrics, world } = running
  const startedAt = ports.clock.now()
  const gauges = new Gauges(metrics)
  return {
    metrics,
    status: () =>
      operatorStatus(world, {
        pid: ports.pid,
        startedAt,
        resourcesPath: ports.settings.config.resources,
        problems: platform.problems,
      }),
    updateGauges: () => gauges.update(world, queue.depth),
    ready: () => !running.stopping && ports.bus.state === 'connected',
    stop: () => stop(running, watch, ports),
  }
}

/** What is allowed beyond the drain grace: for killing what did not end, and for the last writes. */
const stopMarginMs = 1_500
const stopPollMs = 50

async function stop(running: Running, watch: FileWatch, { settings, bus, clock, log }: OperatorPorts): Promise<void> {
  const { platform, publisher, store, queue, keysQueue } = running
  running.stopping = true
  watch.close()
  await store.close()
  platform.setResources({ deployments: [], apiKeys: [] })
  const deadline = clock.now() + settings.config.drainGraceMs + stopMarginMs
  const isClean = () => platform.workersRunning === 0 && (publisher.names().length === 0 || bus.state !== 'connected')
  while (!isClean() && clock.now() < deadline) await delay(clock, stopPollMs)
  if (!isClean()) log.warn({ workers: platform.workersRunning }, 'not everything ended in time; it is killed')
  platform.killAll()
  await Promise.all([queue.stop(), keysQueue.stop()])
  await bus.close()
}
