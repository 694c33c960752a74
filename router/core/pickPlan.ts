/**
 * A pick for somebody to look at: whom it would be now, and of every worker how it stands and what it would take. Pure; sends nothing.
 */
import type { WorkerId } from '#contracts/ids.ts'
import { candidates, type Picked, type PickRule, weigh } from './pick.ts'
import type { Need } from './prompt.ts'
import { freeSlots, type Standing, type Worker } from './workers.ts'

export interface PlannedWorker {
  readonly worker: WorkerId
  /** `full`: no slot is free. `paused`: it said so itself. */
  readonly standing: Standing | 'full' | 'paused'
  readonly heldTokens: number
  readonly firstTokenMs: number
  readonly costMs: number
  /** Among all of them, for this prompt's key: 1 is where requests that begin like it meet. */
  readonly place: number
}

export interface PickPlan {
  /** Null: nobody has room; it would wait. */
  readonly picked: Picked | null
  readonly need: Need
  readonly workers: readonly PlannedWorker[]
}

export interface PlanOptions {
  readonly now: number
  readonly standing: (worker: Worker) => Standing
  readonly pick: PickRule
}

export function planPick(workers: readonly Worker[], need: Need, { now, standing, pick }: PlanOptions): PickPlan {
  const isLive = (worker: Worker) => standing(worker) === 'live'
  const eligible = candidates(workers, { excluded: [], now, isLive })
  const weighed = workers.map((worker) => weigh(worker, need)).sort((a, b) => b.weight - a.weight)
  return {
    picked: eligible.length === 0 ? null : pick(eligible, need),
    need,
    workers: weighed.map(({ worker, heldTokens, firstTokenMs, costMs }, i) => ({
      worker: worker.id,
      standing: standingNow(worker),
      heldTokens,
      firstTokenMs,
      costMs,
      place: i + 1,
    })),
  }

  function standingNow(worker: Worker): PlannedWorker['standing'] {
    const stands = standing(worker)
    if (stands !== 'live') return stands
    if (worker.pausedUntil > now) return 'paused'
    return freeSlots(worker) > 0 ? 'live' : 'full'
  }
}
