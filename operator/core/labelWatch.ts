/**
 * What newer labels say of a calibration: one new label at a time, until the watch (`algorithms/errorWatch.ts`) alarms. Pure.
 *
 * Labels speak of the calibration that kept the answer; another calibration starts anew. Once broken it stays so: whoever always
 * escalates keeps nothing, so nobody tells it better, and the error rate of before is no more proved by a lucky week.
 */
import { afterLabel, type ErrorWatch, hasAlarmed } from '#algorithms/errorWatch.ts'
import type { StepCalibration } from '#contracts/resources/modelRoute.ts'

export interface LabelFigures {
  /** `calibrationDigest` of the one that kept the answers. */
  readonly calibration: string
  readonly labels: number
  readonly wrong: number
  readonly sum: number
  /** The sum at which it alarms. */
  readonly limit: number
  readonly broken: boolean
}

export function newFigures(calibration: string, plan: ErrorWatch): LabelFigures {
  return { calibration, labels: 0, wrong: 0, sum: 0, limit: plan.limit, broken: false }
}

/** The sum of what is broken stays: it is what a status keeps of the break, whatever else is wrong with the step then. */
export function withLabel(before: LabelFigures, plan: ErrorWatch, wrong: boolean): LabelFigures {
  const counted = { ...before, labels: before.labels + 1, wrong: before.wrong + (wrong ? 1 : 0) }
  if (before.broken) return counted
  const sum = afterLabel(plan, before.sum, wrong)
  return { ...counted, sum, broken: hasAlarmed(plan, sum) }
}

/** As a status kept them; null where it speaks of no label, or of another calibration. */
export function figuresIn(status: StepCalibration | undefined, calibration: string): LabelFigures | null {
  if (status?.calibration !== calibration || status.alarm === undefined) return null
  const { newLabels = 0, newWrong = 0, alarm, state } = status
  return {
    calibration,
    labels: newLabels,
    wrong: newWrong,
    sum: alarm.sum,
    limit: alarm.at,
    // A calibration that is stale as well is called stale.
    broken: state === 'Broken' || alarm.sum >= alarm.at,
  }
}
