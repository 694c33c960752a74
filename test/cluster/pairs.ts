/** Pairs for tests, as manifests; and what can be seen of them from outside. */
import * as z from 'zod'
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

/** A made-up engine: a worker pod that costs next to nothing. */
export function simulatedPair(name: string, options: Simulated = {}): string {
  const { replicas = 1, stepMs = 20, slots = 64, contextTokensMax = 4_096, more = {} } = options
  const simulated = { stepMs, promptTokensPerSecond: 100_000 }
  return pair(name, { engine: { kind: 'simulated', slots, contextTokensMax, simulated }, replicas, ...more })
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
  return PodList.parse(await paceline.get('pods', '-l', `paceline.dev/deployment=${name}`)).items
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
  return Pair.parse(await paceline.get('pair', name))
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

/** Everything the operator made for a pair and has not removed, as `kind/name`. */
export async function belongings(paceline: Paceline, name: string): Promise<string[]> {
  const kinds = 'pods,services,configmaps,persistentvolumeclaims,jobs,poddisruptionbudgets'
  const listed = await paceline.kubectl('get', kinds, '-l', `paceline.dev/deployment=${name}`, '-o', 'name')
  return listed.split('\n').filter((line) => line !== '')
}
