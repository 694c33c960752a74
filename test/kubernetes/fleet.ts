/**
 * One process that is the worker in every pod which KWOK plays: registers over NATS when its pod runs, reports, and leaves with it.
 *
 * Reports come every two seconds, not five times a second: a thousand workers on one machine are to load the operator, not NATS.
 */
import { limits } from '#contracts/limits.ts'
import { WorkerConfig, workerConfigVariable } from '#contracts/workerConfig.ts'
import type { Bus } from '#runtime/bus.ts'
import { systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { encode } from '#runtime/messages.ts'
import { isDeleting, nameOf, type Pod, resources } from '../../operator/kubernetes/core/objects.ts'
import { createReflector } from '../../operator/kubernetes/reflector.ts'
import { clientFor, registration, tell } from './fakeKubelet.ts'

const reportMs = 2_000

export interface FleetEvents {
  /** Each once per pod; the pair that it belongs to. */
  made(pair: string): void
  registered(pair: string): void
}

export async function startFleet(
  place: { readonly kubeconfig: string; readonly namespace: string; readonly bus: Bus },
  events: FleetEvents,
): Promise<{ readonly size: number; stop(): void }> {
  const { kubeconfig, namespace, bus } = place
  const { client, transport } = clientFor(kubeconfig, namespace)
  const known = new Map<string, { config: WorkerConfig; number: number; runs: boolean }>()
  const follow = (name: string, pod: Pod | undefined) => {
    const worker = known.get(name)
    if (pod === undefined || isDeleting(pod)) {
      known.delete(name)
      if (worker?.runs === true) void bus.remove('workers', worker.config.worker)
      return
    }
    const now = worker ?? { config: configOf(pod), number: 0, runs: false }
    if (worker === undefined) {
      known.set(name, now)
      events.made(now.config.deployment)
    }
    if (now.runs || pod.status?.phase !== 'Running') return
    now.runs = true
    void bus.put('workers', now.config.worker, encode(registration(now.config))).then(() => {
      tell(bus, now.config, now.number, 'ready')
      events.registered(now.config.deployment)
    })
  }
  const pods = createReflector<Pod>({
    client,
    resource: resources.pods,
    clock: systemClock,
    random: Math.random,
    log: silentLog,
    onChange: (name, { now }) => follow(name, now),
  })
  await pods.start()
  const living = () => [...known.values()].filter(({ runs }) => runs)
  const timers = [
    setInterval(() => {
      for (const worker of living()) tell(bus, worker.config, ++worker.number, 'ready')
    }, reportMs),
    setInterval(() => {
      for (const { config } of living()) void bus.put('workers', config.worker, encode(registration(config)))
    }, limits.worker.registrationTtlMs / 2),
  ]
  return {
    get size() {
      return known.size
    },
    stop() {
      for (const timer of timers) clearInterval(timer)
      pods.stop()
      transport.close()
    },
  }
}

function configOf(pod: Pod): WorkerConfig {
  const value = pod.spec?.containers[0]?.env?.find(({ name }) => name === workerConfigVariable)?.value ?? ''
  try {
    return WorkerConfig.parse(JSON.parse(value))
  } catch (cause) {
    throw new Error(`pod ${nameOf(pod)} has no worker's settings`, { cause })
  }
}
