/**
 * The port between the reconcile and a platform: who should exist, who runs, and the few things that can be done about it.
 *
 * Implementations: `local/platform.ts` (child processes); a cluster comes later. A platform decides nothing: the planner does.
 * Every call is safe to repeat.
 */
import type { DeploymentName, Revision, WorkerId } from '#contracts/ids.ts'
import type { ModelDeploymentSpec, ModelDeploymentStatus } from '#contracts/resources/modelDeployment.ts'
import type { Crashes, Desired } from './core/observed.ts'
import type { DrainReason } from './core/plan.ts'

/** What the platform knows of a live worker by itself; what the worker says of itself comes over NATS. */
export interface PlatformWorker {
  readonly worker: WorkerId
  readonly revision: Revision
  readonly startedAt: number
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
  /** Why the newest edit of the resources was not taken. */
  readonly problems: readonly string[]
}

export interface WorkerOrder {
  readonly deployment: DeploymentName
  readonly revision: Revision
  readonly spec: ModelDeploymentSpec
  readonly modelPath: string | null
}

export interface Platform {
  /** Deployments that exist, and deleted ones of which something is left. */
  names(): readonly DeploymentName[]
  view(name: DeploymentName): PlatformView
  startWorker(order: WorkerOrder): void
  drainWorker(worker: WorkerId, why: DrainReason): void
  killWorker(worker: WorkerId, why: 'grace-over' | 'unresponsive'): void
  writeStatus(name: DeploymentName, status: ModelDeploymentStatus): void
  /** Nothing of it is left. */
  forget(name: DeploymentName): void
  /** Something about this deployment may have changed. */
  onChange(handler: (name: DeploymentName) => void): void
  /** A worker's process has ended: it is gone at once, whatever its registration says. */
  onWorkerEnd(handler: (worker: WorkerId) => void): void
}
