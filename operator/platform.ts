/**
 * The port between the reconcile and a platform: who should exist, who runs, and the few things that can be done about it.
 *
 * Implementations: `local/platform.ts` (child processes), `kubernetes/platform.ts` (pods). A platform decides nothing: the planner
 * does. Every call is safe to repeat; one that could not be carried out rejects with a `Failure`, and is asked for again.
 */
import type { DeploymentName, Revision, WorkerId } from '#contracts/ids.ts'
import type { ModelDeploymentSpec, ModelDeploymentStatus } from '#contracts/resources/modelDeployment.ts'
import type { Crashes, Desired } from './core/observed.ts'
import type { DrainReason } from './core/plan.ts'
import type { RevisionHistory } from './core/revision.ts'
import type { PairPaths } from './core/workerConfig.ts'

/** What the platform knows of a live worker by itself; what the worker says of itself comes over NATS. */
export interface PlatformWorker {
  readonly worker: WorkerId
  readonly revision: Revision
  /** When it was asked for. */
  readonly startedAt: number
  /** Since when its process runs; null: not yet. Absent: since `startedAt`. */
  readonly runningSince?: number | null
  /** Why its process does not run yet, where that may need somebody; for a person. */
  readonly waitsFor?: string | null
  readonly drainAskedAt: number | null
  readonly pid: number | null
}

export interface PlatformView {
  /** null: deleted. */
  readonly desired: Desired | null
  readonly workers: readonly PlatformWorker[]
  readonly crashes: Crashes | null
  readonly restarts: number
  readonly status: ModelDeploymentStatus | null
  /** As last written; empty before the first rollout (`parseHistory` reads what was stored). */
  readonly history: RevisionHistory
  /** Why the newest edit of the resources was not taken. */
  readonly problems: readonly string[]
}

export interface WorkerOrder extends PairPaths {
  readonly deployment: DeploymentName
  readonly revision: Revision
  readonly spec: ModelDeploymentSpec
  /** As `Desired.image` was when this revision was asked for. */
  readonly image?: string
}

export interface Platform {
  /** Deployments that exist, and deleted ones of which something is left. */
  names(): readonly DeploymentName[]
  view(name: DeploymentName): PlatformView
  /** Before anything is done for it: its end must not be missed, and what ended workers left goes. */
  prepare(name: DeploymentName): void | Promise<void>
  /** What stands beside the workers is put in order; no worker waits for it. */
  upkeep(name: DeploymentName): void | Promise<void>
  startWorker(order: WorkerOrder): void | Promise<void>
  drainWorker(worker: WorkerId, why: DrainReason): void | Promise<void>
  killWorker(worker: WorkerId, why: 'grace-over' | 'unresponsive'): void | Promise<void>
  writeStatus(name: DeploymentName, status: ModelDeploymentStatus): void | Promise<void>
  /** Must outlive the operator where workers do; rejects with a Failure where it cannot be written. Ends with `forget`. */
  writeHistory(name: DeploymentName, history: RevisionHistory): void | Promise<void>
  /** Nothing of it is left. */
  forget(name: DeploymentName): void | Promise<void>
  /** Something about this deployment may have changed. */
  onChange(handler: (name: DeploymentName) => void): void
  /** A worker's process has ended: it is gone at once, whatever its registration says. */
  onWorkerEnd(handler: (worker: WorkerId) => void): void
}
