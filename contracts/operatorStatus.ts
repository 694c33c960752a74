/**
 * What the operator answers on `GET /status`: everything `paceline status` shows. Durations, never wall-clock instants
 * (conditions excepted, which have Kubernetes' form).
 */
import * as z from 'zod'
import { DeploymentName, Revision, RouteName, WorkerId } from './ids.ts'
import { ModelDeploymentSpec, ModelDeploymentStatus } from './resources/modelDeployment.ts'
import { ModelRouteStatus } from './resources/modelRoute.ts'

export const ModelFileState = z.discriminatedUnion('kind', [
  /** The simulated engine loads nothing. */
  z.object({ kind: z.literal('not-needed') }),
  z.object({ kind: z.literal('absent') }),
  z.object({
    kind: z.literal('fetching'),
    /** What is happening now: the source tried, a check, a wait for another process. */
    activity: z.string(),
    bytes: z.number().nonnegative(),
    bytesTotal: z.number().nonnegative().nullable(),
    bytesPerSecond: z.number().nonnegative(),
  }),
  z.object({ kind: z.literal('ready'), path: z.string() }),
  /** `retryInMs` null: nothing helps but a change of the resource or of the machine. */
  z.object({ kind: z.literal('failed'), message: z.string(), retryInMs: z.number().nonnegative().nullable() }),
])
export type ModelFileState = z.infer<typeof ModelFileState>

export const WorkerStatus = z.object({
  worker: WorkerId,
  revision: Revision,
  /** False: an older revision that still serves until the new one is ready. */
  current: z.boolean(),
  /** Null where the platform has no processes of its own. */
  pid: z.int().nullable(),
  state: z.enum(['starting', 'ready', 'unresponsive', 'draining']),
  ageMs: z.number().nonnegative(),
  /** From the worker's registration; null until it has one. */
  version: z.string().nullable(),
  metricsUrl: z.string().nullable(),
  engine: z.string().nullable(),
  slots: z.object({ total: z.int(), busy: z.int(), waiting: z.int() }).nullable(),
  tokensPerSecond: z.number().nullable(),
  /** Who may propose tokens in it now, and how many at most; null until it has said so. */
  speculation: z.string().nullable().default(null),
})
export type WorkerStatus = z.infer<typeof WorkerStatus>

export const DeploymentReport = z.object({
  name: DeploymentName,
  generation: z.int(),
  /** Gone from the resources; its workers are draining. */
  deleting: z.boolean(),
  replicasWanted: z.int(),
  servedNames: z.array(z.string()),
  simulated: z.boolean(),
  model: ModelFileState,
  workers: z.array(WorkerStatus),
  /** Workers that ended by themselves, since the operator started. */
  restarts: z.int(),
  status: ModelDeploymentStatus,
  /** As it is asked for now; absent while it is being deleted. */
  spec: ModelDeploymentSpec.optional(),
  /** Its revisions with their specs, the newest first, as the operator keeps them: for `paceline plan`. */
  history: z.array(z.unknown()).optional(),
})
export type DeploymentReport = z.infer<typeof DeploymentReport>

export const RouteReport = z.object({
  name: RouteName,
  /** The model name that clients use; null where its spec is not understood. */
  model: z.string().nullable(),
  /** `direct`, `weighted`, …; null as above. */
  strategy: z.string().nullable(),
  /** Every deployment that it names. */
  deployments: z.array(z.string()),
  status: ModelRouteStatus,
})
export type RouteReport = z.infer<typeof RouteReport>

export const OperatorStatus = z.object({
  version: z.string(),
  pid: z.int(),
  uptimeMs: z.number().nonnegative(),
  natsConnected: z.boolean(),
  /** `problems`: why the newest edit was not taken (the last good state stays); empty when all is well. */
  resources: z.object({ path: z.string(), problems: z.array(z.string()) }),
  deployments: z.array(DeploymentReport),
  routes: z.array(RouteReport).default([]),
})
export type OperatorStatus = z.infer<typeof OperatorStatus>
