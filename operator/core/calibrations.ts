/**
 * What may be kept of the steps of a cascade: the ConfigMaps that a route names, judged against what the route promises. Pure.
 *
 * A threshold counts only for what it was proved for: these references, this judge, these models, this way of streaming, and no stricter
 * promise. Whatever is missing, bad or stale makes a guarantee that does not hold, with a reason and what to change; it never makes a
 * route wrong: routers then escalate every answer.
 */
import {
  type CascadeCalibration,
  type CascadeGuarantee,
  type CascadeReference,
  calibrationDigest,
  calibrationKeys,
  type JudgePrior,
  referencesDigest,
} from '#contracts/calibration.ts'
import type { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import type { CascadeSpec, MetaRankingSpec, StepCalibration } from '#contracts/resources/modelRoute.ts'
import type { EmbedsOrAnswers } from '#contracts/riskPolicy.ts'
import { type ReadText, readCascadeCalibration, readReferences } from './calibrationText.ts'
import type { LabelFigures } from './labelWatch.ts'

/** What is known beside the route itself. */
export interface CalibrationSources {
  /** Texts of a ConfigMap by key; null: there is none of that name with our label. */
  readonly configMap: (name: string) => Readonly<Record<string, string>> | null
  /** What a deployment is to serve; null: there is none of that name. */
  readonly servedBy: (deployment: string) => EmbedsOrAnswers | null
  /** What newer labels say of answers that this calibration kept. */
  readonly labelsOf: (step: { deployment: string; calibration: CascadeCalibration }) => LabelFigures | null
}

/** As calibrations name it. */
export function servedBySpec({ engine, target }: ModelDeploymentSpec): EmbedsOrAnswers {
  const model = engine.kind === 'simulated' ? 'simulated' : target?.sha256
  return { model, embeddings: engine.embeddings }
}

export const noSources: CalibrationSources = { configMap: () => null, servedBy: () => null, labelsOf: () => null }

export interface JudgedStep {
  readonly deployment: string
  readonly judge: string
  readonly references: readonly CascadeReference[]
  readonly prior: JudgePrior | null
  readonly guarantee: CascadeGuarantee
  /** For people; null where the guarantee holds. */
  readonly problem: string | null
  /** Null: there is none that can be understood. */
  readonly calibration: CascadeCalibration | null
  readonly labels: LabelFigures | null
}

/** In the order of the steps; null: one that keeps every answer. */
export function judgeCascade(cascade: CascadeSpec, sources: CalibrationSources): (JudgedStep | null)[] {
  return cascade.steps.map(({ deployment, accept }) =>
    accept === undefined ? null : judgeStep(deployment, accept.metaRanking, cascade, sources),
  )
}

function judgeStep(
  deployment: string,
  accept: MetaRankingSpec,
  cascade: CascadeSpec,
  sources: CalibrationSources,
): JudgedStep {
  const judge = accept.judge ?? deployment
  const { references: referencesMap, calibration: calibrationMap } = mapNames(accept)
  const nothing = { deployment, judge, references: [], prior: null, calibration: null, labels: null }
  const references = readKey(sources, referencesMap, calibrationKeys.references, readReferences)
  if (references.kind === 'problem') return { ...nothing, ...none('no-references', references.problem) }
  const read = readKey(sources, calibrationMap, calibrationKeys.cascade, readCascadeCalibration)
  const known = { ...nothing, references: references.value }
  if (read.kind === 'problem') return { ...known, ...none('no-calibration', read.problem) }
  const calibration = read.value
  const labels = sources.labelsOf({ deployment, calibration })
  const step = { ...known, prior: calibration.prior ?? null, calibration, labels }
  const wanted = { deployment, judge, accept, cascade, references: references.value }
  const stale = staleReason(calibration, wanted, sources)
  if (stale !== null)
    return { ...step, ...none('stale', `${stale}; calibrate ${deployment} again, or undo the change`) }
  return { ...step, ...guaranteeOf(step) }
}

export function mapNames({ references, calibration }: MetaRankingSpec) {
  return { references: references.configMap, calibration: calibration.configMap ?? references.configMap }
}

function guaranteeOf({
  deployment,
  calibration,
  labels,
}: Pick<JudgedStep, 'deployment' | 'labels'> & { calibration: CascadeCalibration }) {
  const { threshold, errorRateMax, confidence } = calibration
  if (threshold === null) {
    const { counted, wrong } = calibration.labels
    const why = `${counted} labels, ${wrong} of them wrong, prove no threshold of ${deployment} for an error rate of ${errorRateMax}`
    return none(
      'nothing-proved',
      `${why}; label more answers, choose better references or a better judge, or allow more errors`,
    )
  }
  if (labels?.broken === true) {
    const why = `${labels.wrong} of ${labels.labels} answers of ${deployment} that were kept and labelled since are wrong`
    return none('broken', `${why}, which speaks against at most ${errorRateMax}; calibrate it again on newer traffic`)
  }
  const { stepModel, judgeModel } = calibration.madeFrom
  const models = {
    ...(stepModel === undefined ? {} : { step: stepModel }),
    ...(judgeModel === undefined ? {} : { judge: judgeModel }),
  }
  const digest = calibrationDigest(calibration)
  const holds = { kind: 'holds', calibration: digest, threshold, errorRateMax, confidence, models } as const
  return { guarantee: holds, problem: null }
}

type NoneReason = Extract<CascadeGuarantee, { kind: 'none' }>['reason']

const none = (reason: NoneReason, problem: string) => ({ guarantee: { kind: 'none', reason } as const, problem })

export const missingMap = (name: string, strategy: 'cascade' | 'risk') =>
  `there is no ConfigMap ${name} with the label paceline.dev/kind: calibration; make it with paceline calibrate ${strategy}`

function readKey<T>(
  { configMap }: CalibrationSources,
  name: string,
  key: string,
  read: (text: string) => ReadText<T>,
): { kind: 'read'; value: T } | { kind: 'problem'; problem: string } {
  const data = configMap(name)
  if (data === null) return { kind: 'problem', problem: missingMap(name, 'cascade') }
  const text = data[key]
  if (text === undefined) return { kind: 'problem', problem: `ConfigMap ${name} has no key ${key}` }
  const found = read(text)
  if (found.kind === 'read') return found
  return { kind: 'problem', problem: `ConfigMap ${name}, ${key}: ${found.problems.join('; ')}` }
}

interface Wanted {
  readonly deployment: string
  readonly judge: string
  readonly accept: MetaRankingSpec
  readonly cascade: CascadeSpec
  readonly references: readonly CascadeReference[]
}

/** Null: the calibration is one of this step as it stands. */
function staleReason(calibration: CascadeCalibration, wanted: Wanted, { servedBy }: CalibrationSources): string | null {
  const { deployment, judge, accept, cascade, references } = wanted
  const { madeFrom, errorRateMax, confidence, judgedTokens } = calibration
  if (calibration.step !== deployment) return `the calibration is one of ${calibration.step}, not of ${deployment}`
  if (calibration.judge !== judge) return `the calibration is one of the judge ${calibration.judge}, not of ${judge}`
  if (madeFrom.references !== referencesDigest(references)) return 'the calibration was made with other references'
  if (errorRateMax > accept.errorRateMax)
    return `the calibration proves an error rate of at most ${errorRateMax}, and the route promises ${accept.errorRateMax}`
  if (confidence < accept.confidence)
    return `the calibration has a confidence of ${confidence}, and the route promises ${accept.confidence}`
  const { mode, tokens } = cascade.streaming
  const judgedNow = mode === 'early' ? tokens : null
  if (judgedTokens !== judgedNow)
    return `the calibration is one of ${partOf(judgedTokens)}, and the route judges ${partOf(judgedNow)}`
  if (isOther(madeFrom.stepModel, servedBy(deployment)?.model))
    return `${deployment} has another model than the calibration`
  if (isOther(madeFrom.judgeModel, servedBy(judge)?.model))
    return `the judge ${judge} has another model than the calibration`
  return null
}

const isOther = (made: string | undefined, now: string | undefined) =>
  made !== undefined && now !== undefined && made !== now
const partOf = (tokens: number | null) => (tokens === null ? 'whole answers' : `the first ${tokens} tokens`)

const states = {
  'no-references': 'NoReferences',
  'no-calibration': 'NoCalibration',
  stale: 'Stale',
  'nothing-proved': 'NothingProved',
  broken: 'Broken',
} as const satisfies Record<NoneReason, StepCalibration['state']>

export const stateOf = ({ guarantee }: JudgedStep): StepCalibration['state'] =>
  guarantee.kind === 'holds' ? 'Holds' : states[guarantee.reason]

/** For the route's status. What labels said of the last calibration outlives a time in which none can be read: it may come back. */
export function statusOfStep(step: JudgedStep, before: StepCalibration | undefined): StepCalibration {
  const { deployment, references, calibration, labels } = step
  const common = { deployment, state: stateOf(step), references: references.length }
  if (calibration === null) return { ...common, ...figuresBefore(before) }
  const { threshold, errorRate } = calibration
  return {
    ...common,
    calibration: calibrationDigest(calibration),
    labels: calibration.labels.counted,
    keptShare: calibration.kept.share,
    ...(threshold === null ? {} : { threshold }),
    ...(errorRate === null ? {} : { errorRate }),
    ...(labels === null ? {} : figuresOf(labels)),
  }
}

function figuresBefore(before: StepCalibration | undefined): Partial<StepCalibration> {
  if (before?.calibration === undefined || before.alarm === undefined) return {}
  const { calibration, newLabels = 0, newWrong = 0, alarm } = before
  return { calibration, newLabels, newWrong, alarm }
}

const figuresOf = ({ labels, wrong, sum, limit }: LabelFigures) => ({
  newLabels: labels,
  newWrong: wrong,
  alarm: { sum, at: limit },
})
