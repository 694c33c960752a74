/**
 * The planner: a snapshot in, the actions that bring the world nearer to what the resource says out, and what to wait for.
 *
 * Pure, and the same on every platform. Its promises: it converges; a rollout starts with a ready worker of the new revision
 * before it drains one of the old, so that a deployment which serves goes on serving; planning again after the actions were
 * taken gives none of them a second time; a deleted deployment always ends.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Revision, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelRecord } from '#contracts/records.ts'
import type { ModelFile } from '#contracts/resources/modelDeployment.ts'
import {
  type Desired,
  modelFileOf,
  type Observed,
  type ObservedWorker,
  replicasWanted,
  stateOf,
  type WorkerState,
} from './observed.ts'
import { recordOf } from './record.ts'

export type Action =
  | { readonly kind: 'fetch-model'; readonly file: ModelFile }
  /** `restart`: it replaces one that ended by itself. */
  | { readonly kind: 'start-worker'; readonly revision: Revision; readonly restart: boolean }
  | { readonly kind: 'drain-worker'; readonly worker: WorkerId; readonly why: DrainReason }
  | { readonly kind: 'kill-worker'; readonly worker: WorkerId; readonly why: 'grace-over' | 'unresponsive' }
  | { readonly kind: 'publish-record'; readonly record: ModelRecord }
  | { readonly kind: 'remove-record' }
  /** Nothing of the deployment is left: its state in memory may go. */
  | { readonly kind: 'forget' }
export type DrainReason = 'replaced' | 'scaled-down' | 'deleted'

export type NextStep =
  | { readonly kind: 'done' }
  /** Something is under way; it says so itself when it is through, or is looked at again after `recheckMs`. */
  | {
      readonly kind: 'wait'
      readonly until: 'model' | 'worker-ready' | 'drained' | 'back-off'
      readonly recheckMs: number
    }
  /** Only a change of the resource or of the machine helps. */
  | { readonly kind: 'stalled'; readonly reason: string }

export interface Plan {
  readonly actions: readonly Action[]
  readonly next: NextStep
}

/** Workers beyond `replicas` while a rollout runs. */
const surgeMax = 1

export interface JudgedWorker extends ObservedWorker {
  readonly state: WorkerState
}

export function judge(observed: Observed, now: number): JudgedWorker[] {
  return observed.workers.map((worker) => ({ ...worker, state: stateOf(worker, observed.busConnectedSince, now) }))
}

export function planDeployment(observed: Observed, now: number): Plan {
  const workers = judge(observed, now)
  const kills = planKills(workers, observed.drainGraceMs, now)
  if (observed.desired === null) return planDeletion(observed, workers, kills, now)
  const { desired } = observed
  const starts = planStarts(observed, desired, workers, now)
  const actions = [
    ...planFetch(observed, desired, now),
    ...planRecord(observed, desired, now),
    ...kills,
    ...starts,
    ...planDrains(desired, workers),
  ]
  return { actions, next: nextStep(observed, desired, workers, actions, now) }
}

function planDeletion(observed: Observed, workers: JudgedWorker[], kills: Action[], now: number): Plan {
  // The record goes first: routers send nothing new to what is about to drain.
  const unpublish: Action[] = observed.published === null ? [] : [{ kind: 'remove-record' }]
  if (workers.length === 0) return { actions: [...unpublish, { kind: 'forget' }], next: { kind: 'done' } }
  const drains = workers.flatMap((worker): Action[] =>
    worker.state === 'draining' || worker.state === 'unresponsive'
      ? []
      : [{ kind: 'drain-worker', worker: worker.worker, why: 'deleted' }],
  )
  return {
    actions: [...unpublish, ...kills, ...drains],
    next: { kind: 'wait', until: 'drained', recheckMs: recheckMs(observed, workers, drains, now) },
  }
}

function planKills(workers: JudgedWorker[], graceMs: number, now: number): Action[] {
  return workers.flatMap((worker): Action[] => {
    if (worker.state === 'unresponsive') return [{ kind: 'kill-worker', worker: worker.worker, why: 'unresponsive' }]
    const overdue = worker.drainAskedAt !== null && now - worker.drainAskedAt >= graceMs
    return overdue ? [{ kind: 'kill-worker', worker: worker.worker, why: 'grace-over' }] : []
  })
}

function planFetch(observed: Observed, desired: Desired, now: number): Action[] {
  const file = modelFileOf(desired.spec)
  const { model } = observed
  if (file === null || replicasWanted(desired.spec) === 0) return []
  const due = model.kind === 'absent' || (model.kind === 'failed' && model.retryAt !== null && now >= model.retryAt)
  return due ? [{ kind: 'fetch-model', file }] : []
}

function planRecord(observed: Observed, desired: Desired, now: number): Action[] {
  const record = recordOf(observed, desired, now)
  return isDeepStrictEqual(record, observed.published) ? [] : [{ kind: 'publish-record', record }]
}

function planStarts(observed: Observed, desired: Desired, workers: JudgedWorker[], now: number): Action[] {
  if (observed.model.kind !== 'ready' && observed.model.kind !== 'not-needed') return []
  const alive = workers.filter(isAlive)
  const current = alive.filter((worker) => worker.revision === desired.revision)
  const replicas = replicasWanted(desired.spec)
  const missing = Math.min(replicas - current.length, replicas + surgeMax - alive.length)
  const crashes = crashesOf(observed, desired)
  const restart = crashes !== null
  const start: Action = { kind: 'start-worker', revision: desired.revision, restart }
  if (missing <= 0) return []
  if (!restart) return Array.from({ length: missing }, () => start)
  // After a crash one at a time: if this revision cannot run, it should fail once per wait, not once per replica.
  const onTrial = current.some((worker) => worker.state === 'starting')
  return now < crashes.retryAt || onTrial ? [] : [start]
}

function planDrains(desired: Desired, workers: JudgedWorker[]): Action[] {
  const replicas = replicasWanted(desired.spec)
  const { revision } = desired
  const alive = workers.filter(isAlive)
  const old = alive.filter((worker) => worker.revision !== revision)
  const current = alive.filter((worker) => worker.revision === revision)
  const readyCount = alive.filter(isReady).length
  // One that is not ready serves nobody: nothing is lost with it. Of those that serve, only what is over `replicas` may go.
  const oldIdle = old.filter((worker) => !isReady(worker))
  const oldReady = old.filter(isReady).slice(0, Math.max(0, readyCount - replicas))
  const surplus = newestFirst(current).slice(0, Math.max(0, current.length - replicas))
  return [
    ...[...oldIdle, ...oldReady].map((worker) => drain(worker, 'replaced')),
    ...surplus.map((worker) => drain(worker, 'scaled-down')),
  ]
}

const drain = (worker: JudgedWorker, why: DrainReason): Action => ({
  kind: 'drain-worker',
  worker: worker.worker,
  why,
})
const isAlive = (worker: JudgedWorker) => worker.state === 'starting' || worker.state === 'ready'
const isReady = (worker: JudgedWorker) => worker.state === 'ready'

/** Those that are not ready first, then the youngest: the oldest have the warmest caches. */
function newestFirst(workers: JudgedWorker[]): JudgedWorker[] {
  return [...workers].sort((a, b) => Number(isReady(a)) - Number(isReady(b)) || b.startedAt - a.startedAt)
}

/** Crashes of the revision that is wanted now; those of another one say nothing about it. */
export function crashesOf(observed: Observed, desired: Desired) {
  return observed.crashes?.revision === desired.revision ? observed.crashes : null
}

function nextStep(
  observed: Observed,
  desired: Desired,
  workers: JudgedWorker[],
  actions: readonly Action[],
  now: number,
): NextStep {
  const wait = (until: 'model' | 'worker-ready' | 'drained' | 'back-off'): NextStep => ({
    kind: 'wait',
    until,
    recheckMs: recheckMs(observed, workers, actions, now),
  })
  const { model } = observed
  const missing =
    replicasWanted(desired.spec) - workers.filter((w) => w.revision === desired.revision && isAlive(w)).length
  const starts = actions.some((action) => action.kind === 'start-worker')
  if (missing > 0 && model.kind === 'failed' && model.retryAt === null)
    return { kind: 'stalled', reason: model.message }
  if (missing > 0 && model.kind !== 'ready' && model.kind !== 'not-needed') return wait('model')
  if (starts || workers.some((worker) => worker.state === 'starting')) return wait('worker-ready')
  if (missing > 0) return wait(crashesOf(observed, desired) === null ? 'drained' : 'back-off')
  if (workers.length > replicasWanted(desired.spec)) return wait('drained')
  return { kind: 'done' }
}

/** When something becomes due that no event announces. */
function recheckMs(
  observed: Observed,
  workers: readonly JudgedWorker[],
  actions: readonly Action[],
  now: number,
): number {
  const due = workers.flatMap((w) => (w.drainAskedAt === null ? [] : [w.drainAskedAt + observed.drainGraceMs]))
  if (actions.some(({ kind }) => kind === 'drain-worker')) due.push(now + observed.drainGraceMs)
  if (observed.crashes !== null) due.push(observed.crashes.retryAt)
  if (observed.model.kind === 'failed' && observed.model.retryAt !== null) due.push(observed.model.retryAt)
  const waits = due.map((at) => at - now).filter((ms) => ms > 0)
  return Math.min(limits.operator.resyncMs, ...waits)
}
