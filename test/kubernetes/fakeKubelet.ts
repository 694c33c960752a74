/**
 * Plays the node for pods of a real API server without nodes: what is made becomes running and speaks NATS like a worker; what is
 * deleted ends. For tests of the operator alone.
 */
import { limits } from '#contracts/limits.ts'
import type { WorkerReport } from '#contracts/messages.ts'
import { type WorkerRecord } from '#contracts/records.ts'
import { subjects } from '#contracts/subjects.ts'
import { workerReport } from '#contracts/testing/workerReport.ts'
import { WorkerConfig, workerConfigVariable } from '#contracts/workerConfig.ts'
import type { Bus } from '#runtime/bus.ts'
import { systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { encode } from '#runtime/messages.ts'
import { openAccess } from '../../operator/kubernetes/access.ts'
import { alwaysOpen, createClient, type KubernetesClient } from '../../operator/kubernetes/client.ts'
import { isDeleting, nameOf, type Pod, pathOf, resources, uidOf } from '../../operator/kubernetes/core/objects.ts'
import { createRateBound } from '../../operator/kubernetes/rateBound.ts'
import { createReflector, type Reflector } from '../../operator/kubernetes/reflector.ts'
import { createTransport, type Transport } from '../../operator/kubernetes/transport.ts'

export interface FakeKubelet {
  readonly client: KubernetesClient
  readonly pods: Reflector<Pod>
  readonly transport: Transport
  /** Ends the process of a pod with this code. */
  crash(name: string, code?: number): Promise<void>
  stop(): void
}

export async function startFakeKubelet(kubeconfig: string, namespace: string, bus: Bus): Promise<FakeKubelet> {
  const { client, transport } = clientFor(kubeconfig, namespace)
  const alive = new Map<string, { config: WorkerConfig; number: number }>()
  const setStatus = (name: string, status: object) =>
    transport.send({
      method: 'PATCH',
      path: `${pathOf(resources.pods, namespace, name)}/status`,
      body: JSON.stringify({ status }),
      contentType: 'application/merge-patch+json',
      timeoutMs: 10_000,
    })
  const begin = async (pod: Pod) => {
    const config = configOf(pod)
    if (config === null) return
    await setStatus(nameOf(pod), running)
    if (config.engine.contextTokensMax === 4001) return crash(nameOf(pod), 3)
    alive.set(nameOf(pod), { config, number: 0 })
    await bus.put('workers', config.worker, encode(registration(config)))
    tell(bus, config, 0, 'ready')
  }
  const crash = async (name: string, exitCode = 1) => {
    alive.delete(name)
    await setStatus(name, {
      phase: 'Failed',
      containerStatuses: [container({ terminated: { exitCode, reason: 'Error', message: 'it fell over' } })],
    })
  }
  const end = async (pod: Pod) => {
    const living = alive.get(nameOf(pod))
    alive.delete(nameOf(pod))
    if (living !== undefined) await bus.remove('workers', living.config.worker)
    await client.remove(resources.pods, nameOf(pod), { uid: uidOf(pod), graceSeconds: 0 })
  }
  const begun = new Set<string>()
  const pods = createReflector<Pod>({
    client,
    resource: resources.pods,
    clock: systemClock,
    random: Math.random,
    log: silentLog,
    onChange: (_name, { now }) => {
      if (now === undefined) return
      if (isDeleting(now)) void end(now)
      else if (!begun.has(uidOf(now))) {
        begun.add(uidOf(now))
        void begin(now)
      }
    },
  })
  await pods.start()
  const reports = setInterval(() => {
    for (const living of alive.values()) tell(bus, living.config, ++living.number, 'ready')
  }, 500)
  // As workers do, before their registration ends by itself.
  const registrations = setInterval(() => {
    for (const { config } of alive.values()) void bus.put('workers', config.worker, encode(registration(config)))
  }, limits.worker.registrationRefreshMs)
  return {
    client,
    pods,
    transport,
    crash,
    stop() {
      clearInterval(reports)
      clearInterval(registrations)
      pods.stop()
      transport.close()
    },
  }
}

/** Null: a pod of a Job that fetches a model; it stays where it is. */
function configOf(pod: Pod): WorkerConfig | null {
  const value = pod.spec?.containers[0]?.env?.find(({ name }) => name === workerConfigVariable)?.value
  return value === undefined ? null : WorkerConfig.parse(JSON.parse(value))
}

export function clientFor(kubeconfig: string, namespace: string) {
  const clock = systemClock
  const transport = createTransport(openAccess(kubeconfig, clock), clock)
  const rate = createRateBound(clock, { perSecondMax: 500, burstMax: 500 })
  const client = createClient({ transport, namespace, clock, random: Math.random, rate, gate: alwaysOpen })
  return { client, transport }
}

const container = (state: object) => ({
  name: 'worker',
  state,
  ready: true,
  restartCount: 0,
  image: 'x',
  imageID: 'x',
})
const running = {
  phase: 'Running',
  podIP: '10.0.0.1',
  conditions: [{ type: 'Ready', status: 'True' }],
  containerStatuses: [container({ running: { startedAt: '2026-01-01T00:00:00Z' } })],
}

export function tell(bus: Bus, config: WorkerConfig, number: number, state: WorkerReport['state']): void {
  const report = workerReport(config, { number, state, tokensPerSecond: 10 })
  if (bus.state === 'connected') bus.publish(subjects.report(config.deployment, config.worker), encode(report))
}

export function registration({ worker, deployment, revision }: WorkerConfig): WorkerRecord {
  return {
    worker,
    deployment,
    revision,
    pid: 1,
    version: 'fake',
    metricsUrl: 'http://127.0.0.1:1/metrics',
    engine: {
      kind: 'simulated',
      simulated: true,
      backend: 'simulated',
      library: 'fake',
      threads: 1,
      kvCacheType: 'f16',
      reproducible: 'no',
    },
    slots: 2,
    contextTokensMax: 512,
    capabilities: { chat: true, completions: true, embeddings: false, grammar: true },
  }
}
