/** Pairs for tests, as manifests; and what can be seen of them from outside. */
import * as z from 'zod'
import { labels } from '../../operator/kubernetes/core/names.ts'
import { pathOf, resources } from '../../operator/kubernetes/core/objects.ts'
import type { Paceline } from './paceline.ts'
import { waitFor } from './kit/cluster.ts'

export const pair = (name: string, spec: object): string =>
  JSON.stringify({ apiVersion: 'paceline.dev/v1alpha1', kind: 'ModelDeployment', metadata: { name }, spec })

export interface Simulated {
  readonly replicas?: number
  readonly stepMs?: number
  readonly slots?: number
  /** Changing it makes a new revision. */
  readonly contextTokensMax?: number
  readonly more?: object
}

/** Without the guard, which has tests of its own: on a busy machine goodput drops, and the revision would be taken back. */
export const unguarded = { guard: { observeSeconds: 0 } }

/** A made-up engine: a worker pod that costs next to nothing. */
export function simulatedPair(name: string, options: Simulated = {}): string {
  const { replicas = 1, stepMs = 20, slots = 64, contextTokensMax = 4_096, more = {} } = options
  const simulated = { stepMs, promptTokensPerSecond: 100_000 }
  const engine = { kind: 'simulated', slots, contextTokensMax, simulated }
  return pair(name, { engine, replicas, rollout: unguarded, ...more })
}

const PodList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({
        name: z.string(),
        uid: z.string(),
        labels: z.record(z.string(), z.string()).default({}),
        deletionTimestamp: z.string().optional(),
      }),
      status: z.object({ phase: z.string().optional(), podIP: z.string().optional() }),
    }),
  ),
})
export type WorkerPod = z.infer<typeof PodList>['items'][number]

export async function workersOf(paceline: Paceline, name: string): Promise<WorkerPod[]> {
  return PodList.parse(await paceline.cluster.list('pods', paceline.namespace, `${labels.deployment}=${name}`)).items
}

const Status = z.object({
  observedGeneration: z.number().optional(),
  readyReplicas: z.number().optional(),
  currentRevision: z.string().optional(),
  desiredRevision: z.string().optional(),
  conditions: z
    .array(z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() }))
    .default([]),
})
const Pair = z.object({
  metadata: z.object({ generation: z.number(), uid: z.string() }),
  status: Status.default({ conditions: [] }),
})
export type PairState = z.infer<typeof Pair>

export async function stateOf(paceline: Paceline, name: string): Promise<PairState> {
  return Pair.parse(await paceline.cluster.read(pathOf(resources.deployments, paceline.namespace, name)))
}

/** Resolves when the pair's newest generation is fully rolled out: one revision, its workers ready, the old ones gone. */
export async function rolledOut(paceline: Paceline, name: string, waitMsMax = 120_000): Promise<PairState> {
  const explain = () => paceline.describe()
  return waitFor({ what: `${name} to be rolled out`, waitMsMax, everyMs: 250, explain }, async () => {
    const state = await stateOf(paceline, name)
    const { observedGeneration, currentRevision, desiredRevision, conditions } = state.status
    const isSeen = observedGeneration === state.metadata.generation
    const isReady = conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
    if (!isSeen || !isReady || currentRevision === undefined || currentRevision !== desiredRevision) return false
    const workers = await workersOf(paceline, name)
    return workers.every(({ metadata }) => metadata.labels['paceline.dev/revision'] === currentRevision) ? state : false
  })
}

/** Resolves when every router lists the pair among its models: a request may go to any of them. */
export async function listed(paceline: Paceline, name: string): Promise<void> {
  const { cluster, namespace } = paceline
  const explain = () => paceline.describe()
  await waitFor({ what: `${name} to be a model of every router`, waitMsMax: 90_000, explain }, async () => {
    const routers = PodList.parse(await cluster.list('pods', namespace, routerSelector)).items
    const lists = await Promise.all(routers.map(({ status }) => modelsAt(status.podIP)))
    return lists.length > 0 && lists.every((models) => models.includes(name))
  })
}

async function modelsAt(address = ''): Promise<string[]> {
  const response = await fetch(`http://${address}:8080/v1/models`, { signal: AbortSignal.timeout(5_000) })
  return Models.parse(await response.json()).data.map(({ id }) => id)
}

const routerSelector = 'app.kubernetes.io/component=router'
const Named = z.object({ items: z.array(z.object({ metadata: z.object({ name: z.string() }) })) })
const Models = z.object({ data: z.array(z.object({ id: z.string() })) })

/** Everything the operator made for a pair and has not removed, as `kind/name`. */
export async function belongings(paceline: Paceline, name: string): Promise<string[]> {
  const kinds = ['pods', 'services', 'configMaps', 'claims', 'jobs', 'budgets'] as const
  const lists = kinds.map(async (kind) => {
    const found = await paceline.cluster.list(kind, paceline.namespace, `${labels.deployment}=${name}`)
    return Named.parse(found).items.map(({ metadata }) => `${kind}/${metadata.name}`)
  })
  return (await Promise.all(lists)).flat()
}
