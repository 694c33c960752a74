/** A cascade with its references and its calibration, as people and the command write them; tests change one thing at a time. */
import {
  type CascadeCalibration,
  type CascadeReference,
  calibrationKeys,
  referencesDigest,
} from '#contracts/calibration.ts'
import type { CalibrationSources } from './calibrations.ts'

export const references: readonly CascadeReference[] = [
  { question: '1 + 1?', answer: '2', correct: true },
  { question: 'The capital of France?', answer: 'Rome', correct: false },
]

export const referencesText = references.map((reference) => JSON.stringify(reference)).join('\n')

export const calibration: CascadeCalibration = {
  kind: 'CascadeCalibration',
  version: 1,
  step: 'smol',
  judge: 'smol',
  prior: {
    answerFirst: { a: 0.5, b: 0.3, alike: 0.2 },
    referenceFirst: { a: 0.4, b: 0.4, alike: 0.2 },
  },
  threshold: 0.3,
  errorRateMax: 0.1,
  confidence: 0.9,
  labels: { counted: 400, wrong: 120 },
  kept: { counted: 160, wrong: 9, share: 0.4, shareInterval: { lower: 0.36, upper: 0.44 } },
  errorRate: { lower: 0.03, upper: 0.096 },
  judgedTokens: null,
  madeFrom: { references: referencesDigest(references), labels: 'a'.repeat(64) },
}

/** Two steps, the first of which keeps what ranks. */
export const cascadeSpec = {
  name: 'assistant',
  cascade: {
    steps: [
      {
        deployment: 'smol',
        accept: { metaRanking: { references: { configMap: 'smol-calibration' }, errorRateMax: 0.1 } },
      },
      { deployment: 'large' },
    ],
  },
}

export const textsWith = (changed: object = {}): Readonly<Record<string, string>> => ({
  [calibrationKeys.references]: referencesText,
  [calibrationKeys.cascade]: JSON.stringify({ ...calibration, ...changed }, null, 2),
})

export const sourcesOf = (
  texts: Readonly<Record<string, string>> | null = textsWith(),
  more: Partial<CalibrationSources> = {},
): CalibrationSources => ({
  configMap: (name) => (name === 'smol-calibration' ? texts : null),
  servedBy: () => null,
  labelsOf: () => null,
  ...more,
})
