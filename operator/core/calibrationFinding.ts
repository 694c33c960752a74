/** What is said of a route's calibrations in its conditions and its status. Pure. */
import type {
  ModelRouteSpec,
  ModelRouteStatus,
  RouteConditionType,
  StepCalibration,
} from '#contracts/resources/modelRoute.ts'
import type { RiskMisfit } from '#contracts/riskPolicy.ts'
import { type CalibrationSources, type JudgedStep, judgeCascade, stateOf, statusOfStep } from './calibrations.ts'
import { type Finding, finding } from './conditions.ts'
import { type JudgedRisk, judgeRisk } from './riskCalibrations.ts'

/** `none`: the strategy rests on no calibration. */
export type JudgedRoute =
  | { readonly kind: 'none' }
  /** Of the steps that may keep answers, in order. */
  | { readonly kind: 'cascade'; readonly steps: readonly JudgedStep[] }
  | { readonly kind: 'risk'; readonly risk: JudgedRisk; readonly deployment: string }

export function judgeRoute(spec: ModelRouteSpec | null, sources: CalibrationSources): JudgedRoute {
  if (spec?.cascade !== undefined)
    return { kind: 'cascade', steps: judgeCascade(spec.cascade, sources).filter((step) => step !== null) }
  if (spec?.risk === undefined) return { kind: 'none' }
  return { kind: 'risk', risk: judgeRisk(spec.risk, sources), deployment: spec.risk.deployment }
}

const cascadeReasons = {
  NoReferences: 'ReferencesNotUnderstood',
  NoCalibration: 'CalibrationNotUnderstood',
  Stale: 'CalibrationStale',
  NothingProved: 'NothingProved',
  Broken: 'BoundBroken',
} as const satisfies Record<Exclude<StepCalibration['state'], 'Holds'>, string>

const riskReasons = {
  'no-calibration': 'CalibrationNotUnderstood',
  'other-model': 'CalibrationStale',
  'other-embedding': 'CalibrationStale',
  'other-labels': 'CalibrationStale',
  'no-embeddings': 'NoEmbeddings',
} as const satisfies Record<RiskMisfit, string>

/** Null: the strategy rests on none. */
export function calibrationFinding(judged: JudgedRoute): Finding<RouteConditionType> | null {
  if (judged.kind === 'none') return null
  const trouble = calibrationTrouble(judged)
  if (trouble?.escalates === true) return finding('CalibrationReady', false, trouble.reason, trouble.message)
  return finding('CalibrationReady', true, 'Calibrated', goodMessage(judged))
}

export interface CalibrationTrouble {
  readonly reason: string
  readonly message: string
  /** Nothing is kept. */
  readonly escalates: boolean
}

/** Null: everything holds. */
export function calibrationTrouble(judged: JudgedRoute): CalibrationTrouble | null {
  switch (judged.kind) {
    case 'none':
      return null
    case 'cascade':
      return troubleOfSteps(judged.steps)
    case 'risk':
      return troubleOfRisk(judged.risk, judged.deployment)
    default:
      return judged satisfies never
  }
}

function troubleOfSteps(steps: readonly JudgedStep[]): CalibrationTrouble | null {
  for (const step of steps) {
    const state = stateOf(step)
    if (state === 'Holds') continue
    const message = `every answer of ${step.deployment} goes on to the next step: ${step.problem ?? ''}`
    return { reason: cascadeReasons[state], message, escalates: true }
  }
  return null
}

function troubleOfRisk({ calibration, problem }: JudgedRisk, deployment: string): CalibrationTrouble | null {
  if (calibration.kind === 'none') {
    const message = `every answer of ${deployment} is escalated: ${problem ?? ''}`
    return { reason: riskReasons[calibration.reason], message, escalates: true }
  }
  return problem === null ? null : { reason: 'ReferencesNotUnderstood', message: problem, escalates: false }
}

function goodMessage(judged: Exclude<JudgedRoute, { kind: 'none' }>): string {
  if (judged.kind === 'cascade')
    return `kept is what ranks over its threshold: ${judged.steps.map(stepText).join('; ')}`
  const { calibration } = judged.risk
  const measured = calibration.kind === 'made' ? calibration.document.measured : null
  if (measured === null) return `answers of ${judged.deployment} get a risk; nobody has measured it against labels`
  const { labelled, calibrationError } = measured
  return `answers of ${judged.deployment} get a risk, off by ${percent(calibrationError)} in the mean on ${labelled} labelled ones`
}

function stepText({ deployment, calibration }: JudgedStep): string {
  if (calibration === null) return deployment
  const { threshold, kept, errorRateMax, confidence } = calibration
  const promise = `at most ${percent(errorRateMax)} of them wrong at a confidence of ${confidence}`
  return `${deployment} over ${rounded(threshold ?? 0)} (${percent(kept.share)} of its answers, ${promise})`
}

/** Part of the route's status. */
export function calibrationStatus(
  judged: JudgedRoute,
  before: ModelRouteStatus | null,
): Pick<ModelRouteStatus, 'calibrations'> {
  if (judged.kind !== 'cascade') return {}
  const beforeOf = (deployment: string) => before?.calibrations?.find((each) => each.deployment === deployment)
  return { calibrations: judged.steps.map((step) => statusOfStep(step, beforeOf(step.deployment))) }
}

/** As in `(kept over 0.3)`; empty for a step that keeps everything. */
export function keptText(judged: JudgedRoute, deployment: string): string {
  const step = judged.kind === 'cascade' ? judged.steps.find((each) => each.deployment === deployment) : undefined
  if (step === undefined) return ''
  return step.guarantee.kind === 'holds' ? ` (kept over ${rounded(step.guarantee.threshold)})` : ' (nothing is kept)'
}

export const percent = (share: number) => `${Math.round(share * 1_000) / 10}%`
const rounded = (score: number) => Math.round(score * 1_000) / 1_000
