/** Scores and labels of a step's answers as its calibration, and as the ConfigMap in which people keep it. Pure. */
import { hash } from 'node:crypto'
import { stringify } from 'yaml'
import { clopperPearson } from '#algorithms/binomial.ts'
import { chooseThreshold, type Guarantee, type ThresholdChoice } from '#algorithms/riskBound.ts'
import {
  type CascadeCalibration,
  type CascadeReference,
  calibrationKeys,
  calibrationKind,
  type JudgePrior,
  referencesDigest,
} from '#contracts/calibration.ts'

export interface LabelledAnswer {
  readonly question: string
  readonly answer: string
  readonly correct: boolean
  /** Null: the judge gave none, and a router would not keep it. */
  readonly score: number | null
}

export interface Calibrated {
  readonly step: string
  readonly judge: string
  readonly references: readonly CascadeReference[]
  readonly prior: JudgePrior | null
  readonly answers: readonly LabelledAnswer[]
  readonly guarantee: Guarantee
  readonly judgedTokens: number | null
  readonly models: { readonly step?: string; readonly judge?: string }
}

/** All that were judged: scores are never below -1, and must be over the threshold. */
const everything = -2

export function choiceOf({ answers, guarantee }: Pick<Calibrated, 'answers' | 'guarantee'>): ThresholdChoice {
  const scored = answers.flatMap(({ score, correct }) => (score === null ? [] : [{ score, wrong: !correct }]))
  return chooseThreshold(scored, guarantee)
}

export function documentOf(calibrated: Calibrated): CascadeCalibration {
  const { step, judge, references, prior, answers, guarantee, judgedTokens, models } = calibrated
  const choice = choiceOf(calibrated)
  const counted = answers.length
  const kept = choice.kind === 'chosen' ? choice.kept : { labels: 0, wrong: 0 }
  const keptOfAll = { wrong: kept.labels, labels: counted }
  const lines = answers.map(({ question, answer, correct }) => JSON.stringify([question, answer, correct]))
  return {
    kind: 'CascadeCalibration',
    version: 1,
    step,
    judge,
    ...(prior === null ? {} : { prior }),
    threshold: choice.kind === 'chosen' ? Math.max(everything, choice.threshold) : null,
    ...guarantee,
    labels: { counted, wrong: answers.filter(({ correct }) => !correct).length },
    kept: {
      counted: kept.labels,
      wrong: kept.wrong,
      share: kept.labels / counted,
      shareInterval: clopperPearson(keptOfAll, guarantee.confidence),
    },
    errorRate: choice.kind === 'chosen' ? choice.errorRate : null,
    judgedTokens,
    madeFrom: {
      references: referencesDigest(references),
      labels: hash('sha256', lines.join('\n')),
      ...(models.step === undefined ? {} : { stepModel: models.step }),
      ...(models.judge === undefined ? {} : { judgeModel: models.judge }),
    },
  }
}

export function configMapOf(
  name: string,
  references: readonly CascadeReference[],
  document: CascadeCalibration,
): string {
  return stringify(
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, labels: { 'paceline.dev/kind': calibrationKind } },
      data: {
        [calibrationKeys.references]: references.map((reference) => `${JSON.stringify(reference)}\n`).join(''),
        [calibrationKeys.cascade]: `${JSON.stringify(document, null, 2)}\n`,
      },
    },
    // A folded line would be another question.
    { lineWidth: 0 },
  )
}
