/**
 * One life of the operator in a cluster that is played: fake API server over real HTTP, fake NATS, a node that runs every pod.
 * Everything between the API and the planner is the real thing. A life can end after any of its writes, as by `kill -9`.
 */
import { Failure } from '#contracts/failure.ts'
import type { DeploymentName } from '#contracts/ids.ts'
import { KubernetesPlatformConfig, OperatorConfig } from '#contracts/operatorConfig.ts'
import { subjects } from '#contracts/subjects.ts'
import { workerReport } from '#contracts/testing/workerReport.ts'
import { WorkerConfig, workerConfigVariable } from '#contracts/workerConfig.ts'
import type { Bus } from '#runtime/bus.ts'
import { silentLog } from '#runtime/log.ts'
import { encode } from '#runtime/messages.ts'
import { alwaysOpen } from '../../operator/kubernetes/client.ts'
import { ClusterHosting } from '../../operator/kubernetes/hosting.ts'
import type { Pod } from '../../operator/kubernetes/core/objects.ts'
import type { Transport } from '../../operator/kubernetes/transport.ts'
import { Labels } from '../../operator/labels.ts'
import { createOperatorMetrics } from '../../operator/metrics.ts'
import { Publisher } from '../../operator/publish.ts'
import type { Queue } from '../../operator/queue.ts'
import { createReconcileQueue } from '../../operator/queues.ts'
import type { World } from '../../operator/reconcile.ts'
import { Reports } from '../../operator/reports.ts'
import { Scaler } from '../../operator/scaler.ts'
import type { FakeNetwork } from '../simulate/fakeBus.ts'
import type { FakeApiServer, StoredObject } from './fakeApiServer.ts'
import { fastClock } from './fastClock.ts'
import { type Stand, standOn } from './stand.ts'

export const standClock = fastClock(20)

export interface OperatorLife {
  readonly world: World
  readonly hosting: ClusterHosting
  readonly queue: Queue<DeploymentName>
  /** Writes that reached the server, the fatal one included. */
  readonly writes: number
  readonly dead: boolean
  end(): Promise<void>
}

export interface LifeOptions {
  /** It dies right after the server has carried out this write. */
  readonly writesMax?: number
  readonly cluster?: Partial<KubernetesPlatformConfig>
}

let lives = 0

export async function startOperatorLife(
  server: FakeApiServer,
  network: FakeNetwork,
  { writesMax = Number.POSITIVE_INFINITY, cluster = {} }: LifeOptions = {},
): Promise<OperatorLife> {
  const counter = { writes: 0 }
  const stand = standOn(server, { clock: standClock, wrap: (transport) => mortal(transport, counter, writesMax) })
  const bus = network.connect(`operator-${++lives}`)
  const config = KubernetesPlatformConfig.parse({
    kind: 'kubernetes',
    namespace: 'test',
    worker: { image: 'worker:1', natsPasswordSecret: { name: 'nats', key: 'worker' } },
    ...cluster,
  })
  const { hosting, queue, world } = wire(stand, bus, config)
  await hosting.begin({ onApiKeys: () => undefined, onRoutes: () => undefined })
  for (const name of hosting.platform.names()) queue.add(name)
  return {
    world,
    hosting,
    queue,
    get writes() {
      return counter.writes
    },
    get dead() {
      return counter.writes >= writesMax
    },
    async end() {
      counter.writes = Number.POSITIVE_INFINITY
      stand[Symbol.dispose]()
      await queue.stop()
      await hosting.close()
      await bus.close()
    },
  }
}

function wire(stand: Stand, bus: Bus, cluster: KubernetesPlatformConfig) {
  const { clock } = stand
  const metrics = createOperatorMetrics()
  const config = OperatorConfig.parse({
    platform: cluster,
    nats: { url: 'nats://nats:4222', user: 'operator' },
    routerUrl: 'http://router',
    drainGraceMs: 60_000,
  })
  const sources = { huggingFaceEndpoint: 'https://hub.example', huggingFaceToken: null }
  const settings = { config, natsPassword: '', natsAuthority: null, sources, processes: null, podEnvironment: {} }
  const random = Math.random
  const epochMs = () => 1_750_000_000_000
  const common = { clock, random, epochMs, log: silentLog, pid: 1, settings, bus }
  const reports: Reports = new Reports({
    clock,
    log: silentLog,
    onChange: (name) => queue.add(name),
    onHeld: () => undefined,
  })
  const onClose = () => Promise.resolve()
  const labels = new Labels({ clock, log: silentLog, onLabel: () => undefined })
  labels.attach(bus)
  const hosting = new ClusterHosting({
    cluster,
    client: stand.client,
    ports: common,
    reports,
    metrics,
    labels,
    onClose,
  })
  const publisher = new Publisher({ bus, log: silentLog, onListed: () => undefined })
  const world: World = {
    ...common,
    platform: hosting.platform,
    store: hosting.store,
    publisher,
    reports,
    scaler: new Scaler({
      platform: hosting.platform,
      reports,
      clock,
      log: silentLog,
      onChange: (name) => queue.add(name),
    }),
    routerUrl: 'http://router',
    drainGraceMs: 60_000,
    onRestart: () => undefined,
    onRollback: () => undefined,
  }
  const queue = createReconcileQueue(world, metrics, random)
  hosting.platform.onChange((name) => queue.add(name))
  hosting.platform.onWorkerEnd((worker) => reports.drop(worker))
  void reports.attach(bus)
  void publisher.open()
  return { hosting, queue, world, client: stand.client, gate: alwaysOpen }
}

/** After its last write the process is gone: it hears no answer and sends nothing more. */
function mortal(transport: Transport, counter: { writes: number }, writesMax: number): Transport {
  const assertAlive = () => {
    if (counter.writes >= writesMax) throw new Failure('draining', 'this life has ended')
  }
  return {
    async send(request) {
      assertAlive()
      const answer = await transport.send(request)
      if (request.method !== 'GET') {
        counter.writes += 1
        assertAlive()
      }
      return answer
    },
    async open(request) {
      assertAlive()
      return transport.open(request)
    },
    close: () => transport.close(),
  }
}

export interface PlayedNode {
  crash(pod: string): void
  stop(): void
}

/** Runs every pod: it becomes running and reports; what is deleted ends. */
export function playNode(server: FakeApiServer, network: FakeNetwork): PlayedNode {
  const bus = network.connect('node')
  const numbers = new Map<string, number>()
  const live = (object: StoredObject) => {
    const pod = object as unknown as Pod
    const name = object.metadata.name
    if (object.metadata.deletionTimestamp !== undefined) {
      numbers.delete(name)
      server.delete('pods', name, 0)
      return
    }
    if (pod.status?.phase === 'Failed' || pod.metadata?.labels?.['paceline.dev/deployment'] === undefined) return
    if (pod.status?.phase !== 'Running') server.put('pods', { ...object, status: statusOf('Running', { running: {} }) })
    const value = pod.spec?.containers[0]?.env?.find((variable) => variable.name === workerConfigVariable)?.value ?? ''
    const config = WorkerConfig.parse(JSON.parse(value))
    const number = (numbers.get(name) ?? 0) + 1
    numbers.set(name, number)
    bus.publish(subjects.report(config.deployment, config.worker), encode(workerReport(config, { number })))
  }
  const timer = setInterval(() => {
    for (const object of server.objects('pods')) live(object)
  }, 5)
  return {
    crash(name) {
      const object = server.object('pods', name)
      const terminated = { exitCode: 1, reason: 'Error', message: 'it fell over' }
      if (object !== undefined) server.put('pods', { ...object, status: statusOf('Failed', { terminated }) })
    },
    stop() {
      clearInterval(timer)
      void bus.close()
    },
  }
}

const statusOf = (phase: string, state: object) => ({ phase, containerStatuses: [{ name: 'worker', state }] })
