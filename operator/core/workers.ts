/**
 * The workers of a snapshot, each judged once, and what planner, rollout and status all ask about them. Pure.
 */
import { type Observed, type ObservedWorker, stateOf, type WorkerState } from './observed.ts'

export interface JudgedWorker extends ObservedWorker {
  readonly state: WorkerState
}

export function judge(observed: Observed, now: number): JudgedWorker[] {
  return observed.workers.map((worker) => ({ ...worker, state: stateOf(worker, observed.busConnectedSince, now) }))
}

/** It serves or is about to. */
export const isAlive = (worker: JudgedWorker) => worker.state === 'starting' || worker.state === 'ready'
export const isReady = (worker: JudgedWorker) => worker.state === 'ready'

/** Those that are not ready first, then the youngest: the oldest have the warmest caches. */
export function newestFirst(workers: readonly JudgedWorker[]): JudgedWorker[] {
  return [...workers].sort((a, b) => Number(isReady(a)) - Number(isReady(b)) || b.startedAt - a.startedAt)
}
