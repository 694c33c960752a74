/**
 * What a cascade does with the answer of one of its steps: keeps it, or asks the next deployment, or refuses. Escalating is worth
 * something only where the next one can answer in time and the budget allows it; what happens where it cannot is declared.
 *
 * While nothing is proved of a step (no calibration, or one that no longer holds) its answers go on whatever that costs: the budget is
 * for what a judge doubts, not for what nobody may trust.
 * Pure: (judgement, calibration, how the next step stands, budget) decide alone, and the decision says whether the answer is one of those
 * that the calibrated error rate speaks of. An answer that was kept for want of room is not, and must not be counted as one.
 */

import type { CascadePolicy } from '#contracts/records.ts'

/** What happens to an answer that is not good enough while the next step cannot take it. */
export type WhenFull = 'answer' | 'wait' | 'refuse'

/** How the next deployment stands, as this router predicts it; `null` milliseconds: nobody can answer at all. */
export interface NextStep {
  readonly firstTokenMs: number | null
}

export interface StepFacts {
  /** Null: the judge gave none (it failed, or there is none). */
  readonly score: number | null
  /** Null: nothing is calibrated, or the bound no longer holds; then nothing may be kept. */
  readonly threshold: number | null
  /** Null: this is the last step, which keeps every answer. */
  readonly next: NextStep | null
  /** Left of the time to the first token that was promised. */
  readonly remainingMs: number
  readonly budget: EscalationBudget
  readonly whenFull: WhenFull
}

/**
 * `reliable`: over the threshold. `last-step`: nobody comes after it. `unreliable`, `unjudged`, `uncalibrated`: why it is not kept.
 * `over-budget`, `too-late`, `no-worker`: why it cannot go on. `unfit`: the request does not fit this step (its context, what its model
 * can do). `unanswered`: the step was asked and failed. `next-failed`: the next one was asked and failed, so this answer was given after
 * all. `shadow`: the last step answers, whatever is found out about the others.
 */
export const cascadeCauses = [
  'reliable',
  'last-step',
  'unreliable',
  'unjudged',
  'uncalibrated',
  'over-budget',
  'too-late',
  'no-worker',
  'unfit',
  'unanswered',
  'next-failed',
  'shadow',
] as const
export type Cause = (typeof cascadeCauses)[number]

export interface StepDecision {
  readonly kind: 'keep' | 'escalate' | 'refuse'
  readonly cause: Cause
  /** Whether the calibrated error rate is about such answers. */
  readonly isGuaranteed: boolean
}

export function decideStep(facts: StepFacts): StepDecision {
  const { score, threshold, next, whenFull } = facts
  if (next === null) return { kind: 'keep', cause: 'last-step', isGuaranteed: false }
  if (score !== null && threshold !== null && score > threshold)
    return { kind: 'keep', cause: 'reliable', isGuaranteed: true }
  const obstacle = obstacleOf(facts, next)
  if (obstacle === null) return { kind: 'escalate', cause: doubtOf(facts), isGuaranteed: false }
  switch (whenFull) {
    case 'answer':
      return { kind: 'keep', cause: obstacle, isGuaranteed: false }
    case 'refuse':
      return { kind: 'refuse', cause: obstacle, isGuaranteed: false }
    case 'wait':
      // Late is what was chosen; a budget that is spent is no matter of waiting, and neither is a deployment that is not there.
      if (obstacle === 'too-late') return { kind: 'escalate', cause: doubtOf(facts), isGuaranteed: false }
      return { kind: 'refuse', cause: obstacle, isGuaranteed: false }
    default:
      return whenFull satisfies never
  }
}

/** Files by their content, as far as they are known. */
export interface ModelsNow {
  readonly step: string | undefined
  readonly judge: string | undefined
}

/**
 * Null: nothing of this step may be kept, because nothing is proved, or it was proved of other files than answer and judge now: while a
 * rollout runs that is so of a deployment, whatever the operator has published of the route.
 */
export function thresholdOf(accept: CascadePolicy['steps'][number]['accept'], now: ModelsNow): number | null {
  if (accept === null || accept.guarantee.kind !== 'holds') return null
  const { models, threshold } = accept.guarantee
  return isSame(models.step, now.step) && isSame(models.judge, now.judge) ? threshold : null
}

/** What nobody can name now is not the file that was proved. */
const isSame = (proved: string | undefined, now: string | undefined) => proved === undefined || proved === now

function doubtOf({ score, threshold }: StepFacts): Cause {
  if (threshold === null) return 'uncalibrated'
  return score === null ? 'unjudged' : 'unreliable'
}

function obstacleOf({ budget, remainingMs, threshold }: StepFacts, { firstTokenMs }: NextStep): Cause | null {
  if (firstTokenMs === null) return 'no-worker'
  // Before the time: one that may wait for a late answer may not spend what is not there.
  if (threshold !== null && !mayEscalate(budget)) return 'over-budget'
  return firstTokenMs > remainingMs ? 'too-late' : null
}

/**
 * How much may still be escalated: each request adds its share, each escalation takes one. So over any run of n requests at most
 * `rateMax` × n + `burst` escalate, without a clock, and a quiet time saves up no more than the burst.
 */
export interface EscalationBudget {
  readonly rateMax: number
  readonly burst: number
  readonly credit: number
}

export function newBudget(rateMax: number, burst = 10): EscalationBudget {
  return { rateMax, burst, credit: burst }
}

/** A request has come as far as being decided. */
export function afterRequest(budget: EscalationBudget): EscalationBudget {
  return { ...budget, credit: Math.min(budget.burst, budget.credit + budget.rateMax) }
}

export function afterEscalation(budget: EscalationBudget): EscalationBudget {
  return { ...budget, credit: budget.credit - 1 }
}

/** A budget without a limit (`rateMax` 1) is never spent: what each request adds it may take. */
export const mayEscalate = ({ credit }: EscalationBudget) => credit >= 1 - 1e-9
