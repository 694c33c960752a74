/**
 * The planner: a snapshot in, the actions that bring the world nearer to what the resource says out, and what to wait for.
 *
 * Pure, and the same on every platform. Its promises: it converges; a rollout starts with a ready worker of the new revision
 * before it drains one of the old (within `rollout.maxSurge` and `maxUnavailable`), so that a deployment which serves goes on
 * serving; where the new revision cannot take over, the last good one is kept at full strength; planning again after the actions
 * were taken gives none of them a second time; a deleted deployment always ends.
 */
import { isDeepStrictEqual } from 'node:util'
import type { WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelRecord } from '#contracts/records.ts'
import type { ModelFile } from '#contracts/resources/modelDeployment.ts'
import { crashesOf } from './backOff.ts'
import {
  cacheStateOf,
  type Desired,
  filesOf,
  isCached,
  modelStateOf,
  type Observed,
  scalesFromZero,
} from './observed.ts'
import { recordOf } from './record.ts'
import { type DrainReason, planReplacement } from './replace.ts'
import type { RevisionEntry, RevisionHistory } from './revision.ts'
import { type Course, courseOf } from './rollout.ts'
import { isAlive, type JudgedWorker, judge } from './workers.ts'

export type { DrainReason } from './replace.ts'

export type Action =
  | { readonly kind: 'write-history'; readonly history: RevisionHistory }
  | { readonly kind: 'fetch-model'; readonly file: ModelFile }
  /** `restart`: it replaces one that ended by itself. */
  | { readonly kind: 'start-worker'; readonly start: RevisionEntry; readonly restart: boolean }
  | { readonly kind: 'drain-worker'; readonly worker: WorkerId; readonly why: DrainReason }
  | { readonly kind: 'kill-worker'; readonly worker: WorkerId; readonly why: 'grace-over' | 'unresponsive' }
  | { readonly kind: 'publish-record'; readonly record: ModelRecord }
  | { readonly kind: 'remove-record' }
  /** Nothing of the deployment is left: its state in memory may go. */
  | { readonly kind: 'forget' }

export type NextStep =
  | { readonly kind: 'done' }
  /** Something is under way; it says so itself when it is through, or is looked at again after `recheckMs`. */
  | {
      readonly kind: 'wait'
      /** `watched`: everything is as it should be, and the new revision is still on trial. */
      readonly until: 'model' | 'worker-ready' | 'drained' | 'back-off' | 'watched'
      readonly recheckMs: number
    }
  /** Only a change of the resource or of the machine helps. */
  | { readonly kind: 'stalled'; readonly reason: string }

export interface Plan {
  readonly actions: readonly Action[]
  readonly next: NextStep
  /** Which revision it leads to, and why; null: the deployment is deleted. */
  readonly course: Course | null
}

export function planDeployment(observed: Observed, now: number): Plan {
  const workers = judge(observed, now)
  const kills = planKills(workers, observed.drainGraceMs, now)
  if (observed.desired === null) return planDeletion(observed, workers, kills, now)
  const { desired } = observed
  const course = courseOf(observed, desired, workers, now)
  const { starts, drains } = planReplacement({ observed, desired, course, workers, now })
  const actions = [
    ...planHistory(observed, course),
    ...planFetches(observed, desired, course, now),
    ...planRecord(observed, desired, course, now),
    ...kills,
    ...starts.map((start): Action => ({ kind: 'start-worker', ...start })),
    ...drains.map((drain): Action => ({ kind: 'drain-worker', ...drain })),
  ]
  return { actions, next: nextStep({ observed, course, workers, actions, now }), course }
}

function planDeletion(observed: Observed, workers: JudgedWorker[], kills: Action[], now: number): Plan {
  // The record goes first: routers send nothing new to what is about to drain.
  const unpublish: Action[] = observed.published === null ? [] : [{ kind: 'remove-record' }]
  if (workers.length === 0) return { actions: [...unpublish, { kind: 'forget' }], next: { kind: 'done' }, course: null }
  const drains = workers.flatMap((worker): Action[] =>
    isAlive(worker) ? [{ kind: 'drain-worker', worker: worker.worker, why: 'deleted' }] : [],
  )
  return {
    actions: [...unpublish, ...kills, ...drains],
    next: { kind: 'wait', until: 'drained', recheckMs: recheckMs(observed, workers, drains, now) },
    course: null,
  }
}

function planKills(workers: JudgedWorker[], graceMs: number, now: number): Action[] {
  return workers.flatMap((worker): Action[] => {
    if (worker.state === 'unresponsive') return [{ kind: 'kill-worker', worker: worker.worker, why: 'unresponsive' }]
    const overdue = worker.drainAskedAt !== null && now - worker.drainAskedAt >= graceMs
    return overdue ? [{ kind: 'kill-worker', worker: worker.worker, why: 'grace-over' }] : []
  })
}

/** Before anything is done by it: what is done must be found again by an operator that starts anew. */
function planHistory(observed: Observed, { history }: Course): Action[] {
  return isDeepStrictEqual(history, observed.history) ? [] : [{ kind: 'write-history', history }]
}

function planFetches(observed: Observed, desired: Desired, course: Course, now: number): Action[] {
  // What sleeps is to wake quickly; what is stopped needs nothing.
  if (observed.replicas === 0 && !scalesFromZero(desired.spec)) return []
  const { target, fallback } = course
  const takesOver = isCached(cacheStateOf(observed, target.spec))
  const files = [...filesOf(target.spec), ...(takesOver || fallback === null ? [] : filesOf(fallback.spec))]
  const unique = [...new Map(files.map((file) => [file.sha256, file])).values()]
  return unique.flatMap((file): Action[] => {
    const model = modelStateOf(observed.models, file)
    const due = model.kind === 'absent' || (model.kind === 'failed' && model.retryAt !== null && now >= model.retryAt)
    return due ? [{ kind: 'fetch-model', file }] : []
  })
}

function planRecord(observed: Observed, desired: Desired, { target }: Course, now: number): Action[] {
  const record = recordOf(observed, desired, now, target)
  return isDeepStrictEqual(record, observed.published) ? [] : [{ kind: 'publish-record', record }]
}

interface StepFacts {
  readonly observed: Observed
  readonly course: Course
  readonly workers: readonly JudgedWorker[]
  readonly actions: readonly Action[]
  readonly now: number
}

function nextStep(facts: StepFacts): NextStep {
  const { observed, course, workers, actions, now } = facts
  const wait = (until: 'model' | 'worker-ready' | 'drained' | 'back-off'): NextStep => ({
    kind: 'wait',
    until,
    recheckMs: Math.min(recheckMs(observed, workers, actions, now), trialMs(facts)),
  })
  const { revision, spec } = course.target
  const model = cacheStateOf(observed, spec)
  const missing = observed.replicas - workers.filter((w) => w.revision === revision && isAlive(w)).length
  const starts = actions.some((action) => action.kind === 'start-worker')
  if (missing > 0 && model.kind === 'failed' && model.retryAt === null)
    return { kind: 'stalled', reason: model.message }
  if (missing > 0 && !isCached(model)) return wait('model')
  if (starts || workers.some((worker) => worker.state === 'starting')) return wait('worker-ready')
  if (missing > 0) return wait(crashesOf(observed.crashes, revision) === null ? 'drained' : 'back-off')
  if (workers.length > observed.replicas) return wait('drained')
  if (course.watchedUntil !== null)
    return { kind: 'wait', until: 'watched', recheckMs: Math.min(limits.operator.resyncMs, trialMs(facts)) }
  return { kind: 'done' }
}

/** When the trial of a new revision can be judged anew. */
function trialMs({ observed, course, workers, now }: StepFacts): number {
  const { desired } = observed
  if (course.fallback === null || desired === null) return Number.POSITIVE_INFINITY
  const timeoutMs = desired.spec.rollout.readyTimeoutSeconds * 1_000
  const deadlines = workers.filter(({ state }) => state === 'starting').map(({ startedAt }) => startedAt + timeoutMs)
  const due = [...deadlines, ...(course.watchedUntil === null ? [] : [course.watchedUntil])]
  return Math.max(1, Math.min(...due.map((at) => at - now).filter((ms) => ms > 0)))
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
  const { crashes } = observed
  if (crashes !== null) due.push(crashes.retryAt, ...(crashes.others ?? []).map(({ retryAt }) => retryAt))
  for (const model of observed.models.values())
    if (model.kind === 'failed' && model.retryAt !== null) due.push(model.retryAt)
  const waits = due.map((at) => at - now).filter((ms) => ms > 0)
  return Math.min(limits.operator.resyncMs, ...waits)
}
