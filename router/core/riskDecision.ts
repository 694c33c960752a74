/**
 * What is done with an answer once its risk is known: given, asked for again, or asked of the other deployment. Pure.
 *
 * Nothing known is high risk: without a calibration, a label or an embedding the other deployment answers. After a second try the answer
 * is given below `escalateFrom`: there is no third.
 */
import type { RiskPolicy } from '#contracts/riskPolicy.ts'

/**
 * `sure`: below the lower threshold. `doubtful`: between the two. `risky`: from the upper one on. `better`: the second try came below the
 * upper one. `uncalibrated`: nobody can say. `unscored`: of this answer nobody can say. `several`: a request for more than one
 * answer. `failed`: it was asked and did not answer, or cannot take such a request. `shadow`: only looked at.
 */
export type RiskCause =
  | 'sure'
  | 'doubtful'
  | 'risky'
  | 'better'
  | 'uncalibrated'
  | 'unscored'
  | 'several'
  | 'failed'
  | 'shadow'

export interface RiskDecision {
  readonly kind: 'answer' | 'reprompt' | 'escalate'
  readonly cause: RiskCause
}

export interface RiskFacts {
  /** Null: it could not be scored. */
  readonly risk: number | null
  /** False: no calibration fits. */
  readonly isCalibrated: boolean
  /** The answer is already the second one. */
  readonly isSecond: boolean
}

export function decideRisk(
  { risk, isCalibrated, isSecond }: RiskFacts,
  { answerBelow, escalateFrom }: Pick<RiskPolicy, 'answerBelow' | 'escalateFrom'>,
): RiskDecision {
  if (!isCalibrated) return { kind: 'escalate', cause: 'uncalibrated' }
  if (risk === null) return { kind: 'escalate', cause: 'unscored' }
  if (risk >= escalateFrom) return { kind: 'escalate', cause: 'risky' }
  if (risk < answerBelow) return { kind: 'answer', cause: isSecond ? 'better' : 'sure' }
  return isSecond ? { kind: 'answer', cause: 'better' } : { kind: 'reprompt', cause: 'doubtful' }
}
