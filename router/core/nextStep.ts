/**
 * How the next deployment of a cascade stands: when could it give its first token, and what is left of the time in which it should?
 *
 * Predicted from what routing knows anyway: the workers' reports and cost curves, this router's queue, and how long requests of the
 * deployment have held a slot. A worker with a free slot begins at once; otherwise those who wait go first, and slots come free at the
 * rate slots / mean time (Little). Pure.
 */
import { predictStepMs } from '#algorithms/costCurve.ts'
import { limits } from '#contracts/limits.ts'
import { weigh } from './pick.ts'
import type { Need } from './prompt.ts'
import { freeSlots, type Worker } from './workers.ts'

export interface Standby {
  /** Those that may get work now. */
  readonly live: readonly Worker[]
  /** Jobs that wait in this router for one of them. */
  readonly waiting: number
  /** What a job holds its slot for in the mean; null: none has ended yet. */
  readonly serviceMs: number | null
  /** It has no worker, and a request starts one. */
  readonly isAsleep: boolean
}

/** Null: nobody can answer, and nobody will be started. */
export function firstTokenMs({ live, waiting, serviceMs, isAsleep }: Standby, need: Need): number | null {
  if (live.length === 0) return isAsleep ? limits.queue.heldRetryAfterMs : null
  const times = live.map((worker) => ({ worker, ms: weigh(worker, need).firstTokenMs + stepMs(worker, 1) }))
  const free = times.filter(({ worker }) => freeSlots(worker) > 0)
  const room = free.reduce((sum, { worker }) => sum + freeSlots(worker), 0)
  if (room > waiting) return Math.min(...free.map(({ ms }) => ms))
  const slots = live.reduce((sum, worker) => sum + (worker.report?.slots.total ?? 1), 0)
  const mean = serviceMs ?? guessedServiceMs(live)
  return ((waiting - room + 1) * mean) / slots + Math.min(...times.map(({ ms }) => ms))
}

/**
 * Of the promised time to the first token. What was asked before adds what it was allowed: a cascade of steps that each keep to their
 * SLO is in time, whatever it had to ask, and a step that was quick leaves the rest to the next. The client's own deadline is above all.
 */
export function remainingMs(promise: PromisedTime, now: { elapsedMs: number; deadlineLeftMs: number }): number {
  return Math.min(promise.spentMs + promise.nextTtftMs - now.elapsedMs, now.deadlineLeftMs)
}

export interface PromisedTime {
  /** What the steps and judges that were asked were allowed together. */
  readonly spentMs: number
  /** The next deployment's own limit. */
  readonly nextTtftMs: number
}

/** Before anything was measured: a mean answer at full load. */
function guessedServiceMs(live: readonly Worker[]): number {
  const [worker] = live
  if (worker === undefined) return 0
  return tokensGuess * stepMs(worker, worker.report?.slots.total ?? 1)
}

const tokensGuess = 128
const stepMsGuess = 10

const stepMs = ({ curve }: Worker, rows: number) =>
  curve === null ? stepMsGuess : predictStepMs(curve, { rows, contextTokens: 0 })
