/**
 * A cascade of simulated pairs of known quality: a small one that is right about half of the questions, a large one that always is, and
 * a simulated judge that sees which answers are. Its calibration is made by hand: nothing here is a measurement.
 */
import { stringify } from 'yaml'
import { type CascadeCalibration, calibrationKeys, referencesDigest } from '#contracts/calibration.ts'
import { route } from './started.ts'

export const references = [
  { question: 'first', answer: 'good day', correct: true },
  { question: 'second', answer: 'not so', correct: false },
  { question: 'third', answer: 'good water', correct: true },
  { question: 'fourth', answer: 'not me', correct: false },
]

/** Whether a simulated answer counts as right. */
export const isRight = (text: string) => text.trimStart().startsWith('good')

/** What makes a simulated pair answer, or judge, with known quality. */
export const quizEngine = (quiz: string, more = '') =>
  `simulated: { stepMs: 2, rowMs: 0, promptTokensPerSecond: 1000000, quiz: ${quiz}${more} }`

const pair = (name: string, quiz: string) => `
apiVersion: paceline.dev/v1alpha1
kind: ModelDeployment
metadata: { name: ${name} }
spec:
  engine:
    kind: simulated
    slots: 16
    contextTokensMax: 2048
    ${quizEngine(quiz)}
`

export const quizPairs = [pair('small', '{ right: 0.5 }'), pair('large', '{ right: 1 }'), pair('judge', '{ sees: 1 }')]

export function quizRoute(name: string, more = ''): string {
  const metaRanking = `{ judge: judge, references: { configMap: quiz }, errorRateMax: 0.1, confidence: 0.9 }`
  const steps = `[{ deployment: small, accept: { metaRanking: ${metaRanking} } }, { deployment: large }]`
  return route(name, `cascade: { steps: ${steps}${more === '' ? '' : `, ${more}`} }`)
}

export function quizMap(): string {
  const share = { lower: 0.4, upper: 0.6 }
  const calibration: CascadeCalibration = {
    kind: 'CascadeCalibration',
    version: 1,
    step: 'small',
    judge: 'judge',
    threshold: 0,
    errorRateMax: 0.1,
    confidence: 0.9,
    labels: { counted: 200, wrong: 100 },
    kept: { counted: 100, wrong: 0, share: 0.5, shareInterval: share },
    errorRate: { lower: 0, upper: 0.03 },
    judgedTokens: null,
    madeFrom: { references: referencesDigest(references), labels: '0'.repeat(64) },
  }
  return stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'quiz', labels: { 'paceline.dev/kind': 'calibration' } },
    data: {
      [calibrationKeys.references]: references.map((reference) => JSON.stringify(reference)).join('\n'),
      [calibrationKeys.cascade]: JSON.stringify(calibration),
    },
  })
}
