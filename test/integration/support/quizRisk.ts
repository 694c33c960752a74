/**
 * A risk route before the pairs of the quiz. Its calibration is made by hand and reads nothing but the answer's length, so that half of what
 * is asked is given, asked again or passed on: nothing here is a measurement.
 */
import { stringify } from 'yaml'
import { calibrationKeys } from '#contracts/calibration.ts'
import { packedNumbers } from '#contracts/packedNumbers.ts'
import type { RiskCalibration } from '#contracts/riskCalibration.ts'
import { route } from './started.ts'

export const riskRoute = (name: string) =>
  route(
    name,
    `risk:
    deployment: small
    escalateTo: large
    answerBelow: 0.4
    escalateFrom: 0.6
    calibration: { configMap: quiz-risk }
    sources:
      - { name: word, expression: { pattern: "^ *good" } }
      - { name: own, ownLabel: {} }
    trafficLog: { share: 1 }`,
  )

/** Chance to be wrong: one half at a length of about e³ characters. */
const calibration: RiskCalibration = {
  kind: 'RiskCalibration',
  version: 1,
  model: 'simulated',
  embedding: { model: 'simulated', width: 0 },
  signals: [{ name: 'answerCharactersLog', mean: 3, scale: 0.2 }],
  labels: ['right', 'wrong'],
  sources: ['own', 'word'],
  hidden: 0,
  parameters: packedNumbers([-1, 1, 0, 0]),
  scalariser: 'quadratic',
  trained: { examples: 1, epochs: 1 },
  measured: null,
}

export const riskMap = () =>
  stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'quiz-risk', labels: { 'paceline.dev/kind': 'calibration' } },
    data: { [calibrationKeys.risk]: JSON.stringify(calibration) },
  })
