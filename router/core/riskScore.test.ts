import { describe, expect, test } from 'vitest'
import { riskOf } from '#algorithms/harmonizer.ts'
import { packedNumbers } from '#contracts/packedNumbers.ts'
import { RiskCalibration, riskSignals } from '#contracts/riskCalibration.ts'
import { createRandom } from '#test/simulate/random.ts'
import { riskScore, scorerOf } from './riskScore.ts'

const digest = 'ab'.repeat(32)
const none = Object.fromEntries(riskSignals.map((name) => [name, null])) as Record<(typeof riskSignals)[number], null>

function documentOf(width: number, over: Partial<RiskCalibration> = {}): RiskCalibration {
  const random = createRandom(1)
  const count = 2 * (width + 1 + 1)
  return RiskCalibration.parse({
    kind: 'RiskCalibration',
    version: 1,
    model: digest,
    embedding: { model: digest, width },
    signals: [{ name: 'meanLogProbability', mean: -1, scale: 0.5 }],
    labels: ['right', 'wrong'],
    sources: ['rule'],
    hidden: 0,
    parameters: packedNumbers(Float64Array.from({ length: count }, () => random.next() - 0.5)),
    scalariser: 'quadratic',
    trained: { examples: 1, epochs: 1 },
    measured: null,
    ...over,
  })
}

describe('the score', () => {
  const scorer = scorerOf(documentOf(4))
  const embedding = [0.5, -0.5, 0.5, -0.5]

  test('is the harmonizer’s chance that the label is wrong, of the features as they were trained on', () => {
    const score = riskScore(scorer, embedding, { ownLabel: 1, signals: { ...none, meanLogProbability: -2 } })
    const features = Float64Array.of(1, -1, 1, -1, -2)
    expect(score).toBeCloseTo(riskOf(scorer.harmonizer, features, 1), 12)
  })

  test('reads the mean where a signal is not known', () => {
    const known = { ownLabel: 0, signals: { ...none, meanLogProbability: -1 } }
    expect(riskScore(scorer, embedding, { ownLabel: 0, signals: none })).toBe(riskScore(scorer, embedding, known))
  })

  test('of two labels adds up to one', () => {
    const of = (ownLabel: number) => riskScore(scorer, embedding, { ownLabel, signals: none }) ?? Number.NaN
    expect(of(0) + of(1)).toBeCloseTo(1, 12)
  })

  test('says nothing without a label, without an embedding, and of one of another width', () => {
    expect(riskScore(scorer, embedding, { ownLabel: null, signals: none })).toBeNull()
    expect(riskScore(scorer, null, { ownLabel: 0, signals: none })).toBeNull()
    expect(riskScore(scorer, [1, 2, 3], { ownLabel: 0, signals: none })).toBeNull()
  })
})

test('a document with fewer numbers than its shape has, or with what is none, is refused', () => {
  const whole = documentOf(4)
  expect(() => documentOf(4, { hidden: 3 })).toThrow('not as many parameters')
  expect(() => documentOf(4, { parameters: packedNumbers([Number.NaN, ...new Float64Array(11)]) })).toThrow(
    'no numbers',
  )
  expect(() => documentOf(4, { parameters: whole.parameters.slice(0, 8) })).toThrow('not as many parameters')
})
