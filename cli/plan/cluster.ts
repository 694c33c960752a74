/** What runs in a namespace of a cluster, read with the person's own rights: pairs, their worker pods and stored revisions. */
import { KubeConfig } from '@kubernetes/client-node'
import { limits } from '#contracts/limits.ts'
import { Revision } from '#contracts/ids.ts'
import { ModelDeploymentSpec, ModelDeploymentStatus } from '#contracts/resources/modelDeployment.ts'
import type { Clock } from '#runtime/clock.ts'
import { parseHistory } from '../../operator/core/revision.ts'
import { openAccess } from '../../operator/kubernetes/access.ts'
import { alwaysOpen, createClient, type KubernetesClient } from '../../operator/kubernetes/client.ts'
import { historyName, labels } from '../../operator/kubernetes/core/names.ts'
import {
  type DeploymentObject,
  isDeleting,
  nameOf,
  type Pod,
  resources,
} from '../../operator/kubernetes/core/objects.ts'
import { createTransport } from '../../operator/kubernetes/transport.ts'
import type { Present, PresentWorker } from './present.ts'

export interface ClusterPlace {
  readonly kubeconfig: string | undefined
  /** Undefined: that of the kubeconfig's context. */
  readonly namespace: string | undefined
  readonly clock: Clock
  readonly random: () => number
}

/** Null for a name that is not there. */
export async function presentInCluster(
  { kubeconfig, namespace, clock, random }: ClusterPlace,
  names: readonly string[],
): Promise<Map<string, Present | null>> {
  const transport = createTransport(openAccess(kubeconfig, clock), clock)
  const rate = { take: () => Promise.resolve() }
  const client = createClient({
    transport,
    namespace: namespace ?? contextNamespace(kubeconfig),
    clock,
    random,
    rate,
    gate: alwaysOpen,
  })
  try {
    const all = await Promise.all(names.map((name) => presentPair(client, name)))
    return new Map(names.map((name, i) => [name, all[i] ?? null]))
  } finally {
    transport.close()
  }
}

function contextNamespace(kubeconfig: string | undefined): string {
  const config = new KubeConfig()
  if (kubeconfig === undefined) config.loadFromDefault()
  else config.loadFromFile(kubeconfig)
  return config.getContextObject(config.getCurrentContext())?.namespace ?? 'default'
}

async function presentPair(client: KubernetesClient, name: string): Promise<Present | null> {
  const object = await client.get(resources.deployments, name)
  if (object === null) return null
  const map = await client.get(resources.configMaps, historyName(name))
  const pods = await podsOf(client, name)
  const status = statusOf(object)
  return {
    name,
    spec: ModelDeploymentSpec.safeParse(object.spec).data ?? null,
    history: parseHistory(JSON.parse(map?.data?.['history'] ?? '[]')),
    workers: pods.flatMap(workerOf),
    isCached: status?.conditions?.some(({ type, status: is }) => type === 'ModelCacheReady' && is === 'True') === true,
    replicas: status?.desiredReplicas ?? null,
    drainGraceMs: Math.max(...pods.map(graceMsOf), limits.drain.graceMs),
  }
}

async function podsOf(client: KubernetesClient, name: string): Promise<readonly Pod[]> {
  const labelSelector = `${labels.deployment}=${name}`
  const page = await client.listPage(resources.pods, { labelSelector, limit: podsMax })
  return page === 'expired' ? [] : page.items
}

/** Of one pair; more than any pair may ask for. */
const podsMax = 2_000

const Status = ModelDeploymentStatus.partial()
const statusOf = ({ status }: DeploymentObject) => Status.safeParse(status).data

function workerOf(pod: Pod): PresentWorker[] {
  const { phase, conditions = [] } = pod.status ?? {}
  if (phase === 'Succeeded' || phase === 'Failed') return []
  const isReady = conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
  const revision = Revision.safeParse(pod.metadata?.labels?.[labels.revision]).data
  if (revision === undefined) return []
  const state = isDeleting(pod) ? 'draining' : isReady ? 'ready' : 'starting'
  return [{ worker: nameOf(pod), revision, state, ageMs: 0 }]
}

const graceMsOf = (pod: Pod) => (pod.spec?.terminationGracePeriodSeconds ?? 0) * 1_000
