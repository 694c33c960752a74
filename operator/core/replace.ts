/**
 * Which workers start and which drain, so that a deployment gets from what runs to its target revision. Pure.
 *
 * Counts only what serves or is about to. In the normal course the target grows within `replicas` + surge, and each of its
 * workers that is ready lets one of the old go. While the target cannot take over (its model is missing, or it crashes), the last
 * good revision is brought back to full strength beside it, so that a failing rollout costs no service.
 */
import type { WorkerId } from '#contracts/ids.ts'
import { crashesOf } from './backOff.ts'
import { cacheStateOf, type Crashes, type Desired, isCached, type Observed } from './observed.ts'
import type { RevisionEntry } from './revision.ts'
import type { Course } from './rollout.ts'
import { isAlive, isReady, type JudgedWorker, newestFirst } from './workers.ts'

export type DrainReason = 'replaced' | 'rolled-back' | 'scaled-down' | 'deleted'

export interface Replacement {
  readonly starts: readonly { readonly start: RevisionEntry; readonly restart: boolean }[]
  readonly drains: readonly { readonly worker: WorkerId; readonly why: DrainReason }[]
}

export interface ReplacementFacts {
  readonly observed: Observed
  readonly desired: Desired
  readonly course: Course
  readonly workers: readonly JudgedWorker[]
  readonly now: number
}

interface Standing {
  readonly replicas: number
  readonly alive: readonly JudgedWorker[]
  readonly own: readonly JudgedWorker[]
  readonly others: readonly JudgedWorker[]
  readonly readyCount: number
  /** Alive at most. */
  readonly most: number
  /** Ready at least, as far as draining goes. */
  readonly least: number
  /** Workers of the fallback that are wanted beside the target. */
  readonly fallbackWanted: number
  readonly crashes: Crashes | null
  readonly canStart: boolean
}

export function planReplacement(facts: ReplacementFacts): Replacement {
  const standing = standingOf(facts)
  const own = startsOf(facts, standing)
  return { starts: [...own, ...fallbackStarts(facts, standing, own.length)], drains: drainsOf(facts, standing) }
}

function standingOf({ observed, desired, course, workers, now }: ReplacementFacts): Standing {
  const { replicas } = observed
  const { maxSurge, maxUnavailable } = desired.spec.rollout
  const { target } = course
  const alive = workers.filter(isAlive)
  const own = alive.filter((worker) => worker.revision === target.revision)
  const ownReady = own.filter(isReady).length
  const crashes = crashesOf(observed.crashes, target.revision)
  const canStart = isCached(cacheStateOf(observed, target.spec))
  // Without room beside what serves, the target can be tried again only in the place of one that may be missing.
  const roomForRetry = canStart && maxSurge === 0 ? maxUnavailable : 0
  const isTroubled = !canStart || crashes !== null
  const mayTry = canStart && (crashes === null || now >= crashes.retryAt)
  return {
    replicas,
    alive,
    own,
    others: alive.filter((worker) => worker.revision !== target.revision),
    readyCount: alive.filter(isReady).length,
    // Both 0 would never move; the schema refuses it, an old resource may still say it.
    most: replicas + Math.max(maxSurge, maxUnavailable === 0 ? 1 : 0),
    least: Math.max(0, replicas - (mayTry && own.length < replicas ? maxUnavailable : 0)),
    fallbackWanted: isTroubled ? Math.max(0, replicas - ownReady - roomForRetry) : 0,
    crashes,
    canStart,
  }
}

function startsOf({ course, now }: ReplacementFacts, standing: Standing): Replacement['starts'] {
  const { replicas, own, alive, most, crashes, canStart } = standing
  const missing = Math.min(replicas - own.length, most - alive.length)
  if (!canStart || missing <= 0) return []
  const start = { start: course.target, restart: crashes !== null }
  if (crashes === null) return Array.from({ length: missing }, () => start)
  // After a crash one at a time: if this revision cannot run, it should fail once per wait, not once per replica.
  const isTrying = own.some((worker) => worker.state === 'starting')
  return now < crashes.retryAt || isTrying ? [] : [start]
}

/** The last good revision again, where too few of it are left to serve in the place of a target that cannot. */
function fallbackStarts({ observed, course, now }: ReplacementFacts, standing: Standing, started: number) {
  const { fallback } = course
  const { fallbackWanted, others, alive, most } = standing
  if (fallback === null || !isCached(cacheStateOf(observed, fallback.spec))) return []
  const missing = Math.min(fallbackWanted - others.length, most - alive.length - started)
  if (missing <= 0) return []
  const start = { start: fallback, restart: true }
  const crashes = crashesOf(observed.crashes, fallback.revision)
  if (crashes === null) return Array.from({ length: missing }, () => start)
  const isTrying = others.some((worker) => worker.revision === fallback.revision && worker.state === 'starting')
  return now < crashes.retryAt || isTrying ? [] : [start]
}

function drainsOf({ course }: ReplacementFacts, standing: Standing): Replacement['drains'] {
  const { replicas, own, others, readyCount, least, fallbackWanted } = standing
  const why: DrainReason = course.failed === null ? 'replaced' : 'rolled-back'
  const isFallback = (worker: JudgedWorker) => worker.revision === course.fallback?.revision
  // One that is not ready serves nobody: nothing is lost with it, unless it is to serve in the place of the target.
  const idle = newestFirst(others.filter((worker) => !isReady(worker)))
  const awaited = idle.filter(isFallback).slice(0, Math.max(0, fallbackWanted - others.filter(isReady).length))
  const needless = idle.filter((worker) => !awaited.includes(worker))
  // Of those that serve, only what is over `least` may go; what is no good first.
  const serving = others.filter(isReady).toSorted((a, b) => Number(isFallback(a)) - Number(isFallback(b)))
  const replaced = serving.slice(0, Math.max(0, readyCount - least))
  const surplus = newestFirst(own).slice(0, Math.max(0, own.length - replicas))
  return [
    ...[...needless, ...replaced].map(({ worker }) => ({ worker, why })),
    ...surplus.map(({ worker }): Replacement['drains'][number] => ({ worker, why: 'scaled-down' })),
  ]
}
