/**
 * What a reconcile looks at: one snapshot of one deployment, gathered by the shell, judged by the planner and the status writer.
 *
 * All instants are of the operator's own monotonic clock. A worker that has ended is not in the snapshot; what it left
 * behind is `crashes`.
 */
import type { DeploymentName, Revision, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { WorkerReport } from '#contracts/messages.ts'
import type { ModelRecord, WorkerRecord } from '#contracts/records.ts'
import {
  type ModelDeploymentSpec,
  type ModelDeploymentStatus,
  type ModelFile,
  scaleOf,
} from '#contracts/resources/modelDeployment.ts'
import type { RevisionHistory } from './revision.ts'

/** What should be, from the resource. */
export interface Desired {
  readonly generation: number
  readonly revision: Revision
  readonly spec: ModelDeploymentSpec
  /** Names that this deployment may use; the conflicts are those that another one holds. */
  readonly servedNames: readonly string[]
  readonly conflicts: readonly NameConflict[]
  /** Seconds since the epoch. */
  readonly created: number
}

export interface NameConflict {
  readonly name: string
  readonly owner: string
}

/** One live worker. */
export interface ObservedWorker {
  readonly worker: WorkerId
  readonly revision: Revision
  readonly startedAt: number
  /** When we asked it to drain; null: we did not. */
  readonly drainAskedAt: number | null
  readonly report: WorkerReport | null
  /** When the last report came; null: none yet. */
  readonly heardAt: number | null
  readonly registration: WorkerRecord | null
}

export type ModelState =
  | { readonly kind: 'not-needed' }
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'fetching'
      readonly activity: string
      readonly bytes: number
      readonly bytesTotal: number | null
      readonly bytesPerSecond: number
    }
  | { readonly kind: 'ready'; readonly path: string }
  /** `retryAt` null: nothing helps but a change. */
  | { readonly kind: 'failed'; readonly message: string; readonly retryAt: number | null }

/** Workers of one revision that ended by themselves, without one being stable in between. */
export interface Crashes {
  readonly revision: Revision
  readonly inARow: number
  readonly retryAt: number
  /** How the last one ended, and its last words. */
  readonly message: string
}

export interface Observed {
  readonly name: DeploymentName
  /** null: deleted; what runs is to be drained. */
  readonly desired: Desired | null
  readonly workers: readonly ObservedWorker[]
  readonly model: ModelState
  readonly crashes: Crashes | null
  /** Since when NATS has been connected without a break; null: it is not. Silence counts only while it is. */
  readonly busConnectedSince: number | null
  readonly published: ModelRecord | null
  readonly status: ModelDeploymentStatus | null
  readonly history: RevisionHistory
  /** Why the newest edit of the resources was not taken; empty when it was. */
  readonly resourceProblems: readonly string[]
  /** Folded from the routers. */
  readonly sloGoodput: number | null
  /** Where clients reach the router. */
  readonly url: string
  readonly drainGraceMs: number
}

export type WorkerState = 'starting' | 'ready' | 'unresponsive' | 'draining'

/** How a worker stands, from what it last said and how long ago. */
export function stateOf(worker: ObservedWorker, busConnectedSince: number | null, now: number): WorkerState {
  const said = worker.report?.state
  if (worker.drainAskedAt !== null) return 'draining'
  if (busConnectedSince !== null && isSilent(worker, busConnectedSince, now)) return 'unresponsive'
  // Somebody else asked it to end.
  if (said === 'draining' || said === 'stopped') return 'draining'
  return said === 'ready' ? 'ready' : 'starting'
}

function isSilent(worker: ObservedWorker, busConnectedSince: number, now: number): boolean {
  const silentSince = Math.max(worker.heardAt ?? worker.startedAt, busConnectedSince)
  const silenceMsMax = worker.heardAt === null ? limits.operator.startTimeoutMs : limits.operator.silenceMs
  return now - silentSince >= silenceMsMax
}

/** The model file that workers of this spec load; null for the simulated engine, which loads nothing. */
export function modelFileOf(spec: ModelDeploymentSpec): ModelFile | null {
  return spec.engine.kind === 'simulated' ? null : (spec.target ?? null)
}

/** Workers that a spec asks for. Between the bounds of `scaling` the autoscaler decides; without its word, enough to serve. */
export function replicasWanted(spec: ModelDeploymentSpec): number {
  const scale = scaleOf(spec)
  return scale.kind === 'fixed' ? scale.replicas : Math.max(1, scale.scaling.minReplicas)
}
