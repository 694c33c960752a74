/**
 * Which revision a deployment should run: the one that is asked for, or, where that has failed, the last good one.
 *
 * Pure. A new revision is on trial (`current`) until it was fully rolled out and watched for a while; then it is `good` and can be
 * gone back to. On trial it fails when it is not ready in time, when it crashes in a row, or when fewer requests than before
 * meet their SLO. It then stays out until something that could mend it changes in the spec. Without a good revision to go back
 * to nothing fails: trying on is all there is.
 */
import { limits } from '#contracts/limits.ts'
import { crashesOf } from './backOff.ts'
import { cacheStateOf, type Desired, isCached, type Observed } from './observed.ts'
import { isSameAttempt, type RevisionEntry, type RevisionHistory } from './revision.ts'
import type { JudgedWorker } from './workers.ts'

export interface Course {
  /** As it should be stored. */
  readonly history: RevisionHistory
  /** What new workers are started as. */
  readonly target: RevisionEntry
  /** While the target is on trial, the last good one: kept, and started again, where the target cannot take over. */
  readonly fallback: RevisionEntry | null
  /** The revision asked for, where it was given up. */
  readonly failed: RevisionEntry | null
  /** When the time to watch it is over; null: that time has not begun. */
  readonly watchedUntil: number | null
}

export function courseOf(observed: Observed, desired: Desired, workers: readonly JudgedWorker[], now: number): Course {
  const [head, ...rest] = withDesired(observed, desired)
  const trial = trialOf({ observed, desired, workers, head, rest, now })
  const judged = judge(head, trial)
  const lastGood = rest.find(({ state }) => state === 'good') ?? null
  const failed = judged.state === 'failed' && lastGood !== null ? judged : null
  const target = failed === null ? judged : (lastGood ?? judged)
  return {
    history: pruned([judged, ...rest], desired),
    target,
    // A revision that has proved itself is restarted, not replaced, when it crashes.
    fallback: judged.state === 'current' ? lastGood : null,
    failed,
    watchedUntil: judged.state === 'current' ? trial.watchedUntil : null,
  }
}

/**
 * The history with what is asked for at its head. What was asked for before and served in full is good, though nobody may have
 * watched it to the end; what never got through is not worth going back to.
 */
function withDesired(observed: Observed, desired: Desired): [RevisionEntry, ...RevisionEntry[]] {
  const [head, ...rest] = observed.history
  const others = observed.history.filter(({ revision }) => revision !== desired.revision)
  const serving = observed.status?.currentRevision
  if (head?.revision !== desired.revision) {
    const settled = others.map((entry) =>
      entry.state === 'current' && entry.revision === serving ? { ...entry, state: 'good' as const } : entry,
    )
    return [newEntry(observed, desired), ...settled.filter(({ state }) => state !== 'current')]
  }
  // How many workers there are, and what routers alone read, is no new attempt.
  if (isSameAttempt(head.spec, desired.spec)) return [head, ...rest]
  const { spec } = desired
  return [
    head.state === 'failed' ? { ...newEntry(observed, desired), createdAt: head.createdAt } : { ...head, spec },
    ...rest,
  ]
}

function newEntry(observed: Observed, { revision, spec, image }: Desired): RevisionEntry {
  const { nowIso, demand, crashes } = observed
  const before = ratioOf(demand.samples, spec.rollout.guard.requestsMin)
  const crashesBefore = crashesOf(crashes, revision)?.inARow
  return {
    revision,
    spec,
    ...(image === undefined ? {} : { image }),
    createdAt: nowIso,
    state: 'current',
    message: '',
    ...(before === null ? {} : { goodputBefore: before }),
    ...(crashesBefore === undefined ? {} : { crashesBefore }),
  }
}

interface Trial {
  /** Why it fails; null: it does not. */
  readonly failure: string | null
  readonly passed: boolean
  readonly watchedUntil: number | null
}

interface TrialFacts {
  readonly observed: Observed
  readonly desired: Desired
  readonly workers: readonly JudgedWorker[]
  readonly head: RevisionEntry
  readonly rest: readonly RevisionEntry[]
  readonly now: number
}

function trialOf(facts: TrialFacts): Trial {
  const { desired, rest, now } = facts
  const completeSince = completeSinceOf(facts)
  const canGoBack = rest.some(({ state }) => state === 'good')
  // Nothing to compare with and nowhere to go back to: whoever serves in full is good.
  if (!canGoBack) return { failure: null, passed: completeSince !== null, watchedUntil: null }
  const watchedUntil = completeSince === null ? null : completeSince + desired.spec.rollout.guard.observeSeconds * 1_000
  return {
    failure: desired.spec.rollout.automaticRollback ? failureOf(facts, completeSince) : null,
    passed: watchedUntil !== null && now >= watchedUntil,
    watchedUntil,
  }
}

function judge(head: RevisionEntry, trial: Trial): RevisionEntry {
  if (head.state !== 'current') return head
  if (trial.failure !== null) return { ...head, state: 'failed', message: trial.failure }
  return trial.passed ? { ...head, state: 'good' } : head
}

/** Since when as many workers of it as are wanted have been ready, and no others left; null: that is not so. */
function completeSinceOf({ observed, head, workers }: TrialFacts): number | null {
  const own = workers.filter((worker) => worker.revision === head.revision && worker.state === 'ready')
  const others = workers.some((worker) => worker.revision !== head.revision && worker.state !== 'draining')
  if (observed.replicas === 0 || own.length < observed.replicas || others) return null
  return Math.max(...own.map((worker) => worker.readySince ?? worker.startedAt))
}

function failureOf(facts: TrialFacts, completeSince: number | null): string | null {
  return crashLoop(facts) ?? notReadyInTime(facts) ?? worseThanBefore(facts, completeSince)
}

function crashLoop({ observed, head }: TrialFacts): string | null {
  const crashes = crashesOf(observed.crashes, head.revision)
  if (crashes === null) return null
  const before = head.crashesBefore ?? 0
  // A row that is shorter than it was is a new one.
  const inARow = crashes.inARow >= before ? crashes.inARow - before : crashes.inARow
  if (inARow < limits.operator.crashLoopAfter) return null
  return `${inARow} crashes in a row; the last: ${crashes.message}`
}

function notReadyInTime({ observed, desired, workers, head, now }: TrialFacts): string | null {
  const { readyTimeoutSeconds } = desired.spec.rollout
  if (!isCached(cacheStateOf(observed, head.spec))) return null
  const overdue = workers.find(
    (worker) =>
      worker.revision === head.revision &&
      (worker.state === 'starting' || worker.state === 'unresponsive') &&
      worker.readySince === null &&
      now - worker.startedAt >= readyTimeoutSeconds * 1_000,
  )
  if (overdue === undefined) return null
  const waits = overdue.waitsFor ?? null
  return `worker ${overdue.worker} was not ready after ${readyTimeoutSeconds} s${waits === null ? '' : `: ${waits}`}`
}

function worseThanBefore({ observed, desired, head }: TrialFacts, completeSince: number | null): string | null {
  const { goodputDropMax, requestsMin } = desired.spec.rollout.guard
  if (completeSince === null || head.goodputBefore === undefined) return null
  // Only samples that began when it alone served: what ended before is not its doing.
  const after = ratioOf(
    observed.demand.samples.filter(({ at }) => at >= completeSince),
    requestsMin,
  )
  if (after === null || head.goodputBefore - after <= goodputDropMax) return null
  return `${percent(after)} of its requests met the SLO, ${percent(head.goodputBefore)} before it; ${percent(goodputDropMax)} less is allowed`
}

/** Null: too few requests to tell. */
function ratioOf(samples: readonly { offered: number; met: number }[], requestsMin: number): number | null {
  let offered = 0
  let met = 0
  for (const sample of samples) {
    offered += sample.offered
    met += sample.met
  }
  return offered < requestsMin ? null : met / offered
}

/** The head, and the newest that fit; the last good one always does. */
function pruned(history: readonly RevisionEntry[], { spec }: Desired): RevisionHistory {
  const kept = history.slice(0, Math.min(spec.rollout.historyMax, limits.operator.revisionsMax))
  const lastGood = history.slice(1).find(({ state }) => state === 'good')
  if (lastGood === undefined || kept.includes(lastGood)) return kept
  return [...kept.slice(0, Math.max(1, kept.length - 1)), lastGood]
}

const percent = (share: number) => `${Math.round(share * 100)} %`
