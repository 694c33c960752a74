/**
 * How long to wait before trying again, and how crashes in a row are counted. Pure: the draw of chance is passed in.
 */
import type { Revision } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { WorkerReport } from '#contracts/messages.ts'
import type { Crashes } from './observed.ts'

export interface BackOffBounds {
  readonly firstMs: number
  readonly maxMs: number
}

/**
 * The wait after the `attempt`th failure in a row (1 = the first): doubled each time up to the maximum, of which the upper half
 * is drawn by `chance` (0 ≤ chance < 1), so that what failed together does not try again together.
 */
export function backOffMs(attempt: number, chance: number, bounds: BackOffBounds): number {
  const doubled = bounds.firstMs * 2 ** Math.min(attempt - 1, 30)
  const fullMs = Math.min(doubled, bounds.maxMs)
  return fullMs / 2 + (fullMs / 2) * chance
}

export interface WorkerEnd {
  readonly revision: Revision
  readonly message: string
  /** How long it had been ready when it ended; 0: never. */
  readonly readyMs: number
}

/**
 * Somebody else may have told a worker to drain, and it did: that is no crash. Its last report may still be on its way, so that one
 * that was ready when it was last heard counts as well; one that ends in order before it ever served does not, or it would be started
 * again and again without a pause.
 */
export function endedInOrder(code: number | null, said: WorkerReport['state'] | null): boolean {
  return code === 0 && (said === 'ready' || said === 'draining' || said === 'stopped')
}

/** The history after one more worker ended by itself. A worker that was well for a while starts a new row of its revision. */
export function afterCrash(before: Crashes | null, end: WorkerEnd, now: number, chance: number): Crashes {
  const known = before === null ? [] : [before, ...(before.others ?? [])]
  const row = known.find(({ revision }) => revision === end.revision)
  const inARow = row !== undefined && end.readyMs < limits.operator.stableAfterMs ? row.inARow + 1 : 1
  const waitMs = backOffMs(inARow, chance, { firstMs: limits.operator.backOffMs, maxMs: limits.operator.backOffMsMax })
  const others = known
    .filter(({ revision }) => revision !== end.revision)
    .slice(0, limits.operator.crashedRevisionsMax - 1)
    .map(({ revision, inARow, retryAt, message }) => ({ revision, inARow, retryAt, message }))
  const newest = { revision: end.revision, inARow, retryAt: now + waitMs, message: end.message }
  return others.length === 0 ? newest : { ...newest, others }
}

/** Crashes of one revision; those of another one say nothing about it. */
export function crashesOf(crashes: Crashes | null, revision: Revision): Crashes | null {
  if (crashes === null) return null
  return [crashes, ...(crashes.others ?? [])].find((row) => row.revision === revision) ?? null
}
