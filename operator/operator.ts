/**
 * The operator as a whole: wires the place it runs in, NATS and the queues together, and ends them in order.
 *
 * Events only put a name into the queue; everything happens in the reconcile.
 */
import { Failure } from '#contracts/failure.ts'
import type { DeploymentName, WorkerId } from '#contracts/ids.ts'
import type { OperatorStatus } from '#contracts/operatorStatus.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import type { NatsBus } from '#runtime/nats.ts'
import { ensureBuckets } from '#runtime/natsBuckets.ts'
import { CalibrationGauges } from './calibrationGauges.ts'
import type { Settings } from './config.ts'
import type { Hosting } from './hosting.ts'
import { Labels } from './labels.ts'
import { createOperatorMetrics, Gauges, type OperatorMetrics } from './metrics.ts'
import { Publisher } from './publish.ts'
import type { Queue } from './queue.ts'
import { createListsQueue, createReconcileQueue, type PublishedList } from './queues.ts'
import type { World } from './reconcile.ts'
import { Reports } from './reports.ts'
import { Scaler } from './scaler.ts'
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

/** Opens the place to work in; it may already listen to the reports, and counts what it fetches. */
export type OpenHosting = (parts: { reports: Reports; metrics: OperatorMetrics; labels: Labels }) => Promise<Hosting>

export interface Operator {
  readonly metrics: OperatorMetrics
  status(): OperatorStatus
  /** Brings the gauges up to date; called before the metrics page is written. */
  updateGauges(): void
  ready(): boolean
  /** Ends what ends with the operator, cleans up what it published for it and closes the bus. Bounded by the drain grace. */
  stop(): Promise<void>
}

/** Throws what `open` throws; before that nothing has been published. */
export async function startOperator(
  ports: OperatorPorts,
  open: OpenHosting,
  metrics: OperatorMetrics = createOperatorMetrics(),
): Promise<Operator> {
  const running = await assemble(ports, open, metrics)
  const { publisher, reports, hosting } = running
  await ensureBuckets(ports.bus)
  await Promise.all([publisher.open(), reports.attach(ports.bus)])
  running.labels.attach(ports.bus)
  connectEvents(running, ports)
  await hosting.begin({ onApiKeys: () => takeKeys(running), onRoutes: () => takeRoutes(running) })
  // Keys before models: a router that knows a model but no key is open to everybody.
  publisher.setKeys(hosting.apiKeys())
  await publisher.syncKeys()
  beginWork(running, ports)
  return operatorOf(running, ports)
}

interface Running {
  readonly hosting: Hosting
  readonly publisher: Publisher
  readonly reports: Reports
  readonly labels: Labels
  readonly queue: Queue<DeploymentName>
  readonly listsQueue: Queue<PublishedList>
  readonly metrics: OperatorMetrics
  readonly world: World
  readonly timers: Timer[]
  /** The first sync of the API keys is through: from now on deployments are reconciled. */
  working: boolean
  stopping: boolean
}

async function assemble(ports: OperatorPorts, open: OpenHosting, metrics: OperatorMetrics): Promise<Running> {
  const { settings, bus, clock, random, log } = ports
  const reports = new Reports({
    clock,
    log,
    onChange: (name) => add(name),
    onHeld: (name) => scaler.look(name),
  })
  const labels = new Labels({
    clock,
    log,
    onLabel: ({ route, deployment, correct }) =>
      metrics.routeLabels.inc({ route, deployment, correct: correct ? 'yes' : 'no' }),
  })
  const hosting = await open({ reports, metrics, labels })
  const { platform, store } = hosting
  const publisher = new Publisher({
    bus,
    log,
    onListed: (bucket) => {
      if (bucket === 'models') addAll(running)
      else if (running.working) listsQueue.add(bucket)
    },
  })
  const scaler = new Scaler({ platform, reports, clock, log, onChange: (name) => add(name) })
  const world: World = {
    ...ports,
    platform,
    store,
    publisher,
    reports,
    scaler,
    routerUrl: settings.config.routerUrl,
    drainGraceMs: settings.config.drainGraceMs,
    onRestart: (deployment) => metrics.restarts.inc({ deployment }),
    onRollback: (deployment) => metrics.rollbacks.inc({ deployment }),
  }
  const queue = createReconcileQueue(world, metrics, random, hosting.reconcilesMax)
  const listsQueue = createListsQueue(world, random, () => hosting.routes())
  const running: Running = {
    hosting,
    publisher,
    reports,
    labels,
    queue,
    listsQueue,
    metrics,
    world,
    timers: [],
    working: false,
    stopping: false,
  }
  const add = (name: DeploymentName) => {
    if (running.working) queue.add(name)
  }
  platform.onChange(add)
  return running
}

function addAll({ working, hosting, publisher, queue }: Running): void {
  if (!working) return
  for (const name of new Set([...hosting.platform.names(), ...publisher.names()])) queue.add(name)
}

function takeKeys({ hosting, publisher, listsQueue }: Running): void {
  publisher.setKeys(hosting.apiKeys())
  listsQueue.add('keys')
}

/** Before everything is known a part of the routes would be taken for all of them. */
function takeRoutes({ working, listsQueue }: Running): void {
  if (working) listsQueue.add('routes')
}

/** Who tells the queue what. */
function connectEvents(running: Running, { bus, log }: OperatorPorts): void {
  const { hosting, publisher, reports, listsQueue } = running
  hosting.platform.onWorkerEnd((worker) => {
    reports.drop(worker)
    void removeRegistration(publisher, worker, log)
  })
  hosting.store.onChange(() => addAll(running))
  bus.onState((state) => {
    if (state !== 'connected') return
    // A server that came back without its files has no buckets; routers and workers wait for us to make them.
    ensureBuckets(bus).then(
      () => {
        listsQueue.add('keys')
        takeRoutes(running)
        addAll(running)
      },
      (error: unknown) => log.warn({ error }, 'buckets cannot be checked'),
    )
  })
}

function beginWork(running: Running, { clock }: OperatorPorts): void {
  running.working = true
  running.timers.push(
    clock.every(running.hosting.resyncMs, () => addAll(running)),
    running.world.scaler.start(),
  )
  addAll(running)
  takeRoutes(running)
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

function operatorOf(running: Running, ports: OperatorPorts): Operator {
  const { hosting, queue, metrics, world } = running
  const startedAt = ports.clock.now()
  const gauges = new Gauges(metrics)
  const calibrationGauges = new CalibrationGauges(metrics)
  return {
    metrics,
    status: () => {
      const { path, problems } = hosting.source
      const routes = hosting.routes()
      return operatorStatus(world, { pid: ports.pid, startedAt, resourcesPath: path, problems, routes })
    },
    updateGauges: () => {
      gauges.update(world, queue.depth)
      calibrationGauges.update(hosting.routes())
    },
    ready: () => !running.stopping && ports.bus.state === 'connected',
    stop: () => stop(running, ports),
  }
}

async function stop(running: Running, { bus }: OperatorPorts): Promise<void> {
  const { hosting, publisher, labels, queue, listsQueue, timers } = running
  running.stopping = true
  const isEmpty = () => publisher.names().length === 0 && publisher.routeNames().length === 0
  await hosting.stop(() => isEmpty() || bus.state !== 'connected')
  for (const timer of timers) timer.cancel()
  labels.close()
  await Promise.all([queue.stop(), listsQueue.stop()])
  await hosting.close()
  await bus.close()
}
