import { describe, expect, test } from 'vitest'
import { packedNumbers, unpackedNumbers } from '#contracts/packedNumbers.ts'
import { RiskCalibration, riskSignals } from '#contracts/riskCalibration.ts'
import type { RiskExample } from '#contracts/riskExample.ts'
import { createRandom } from '#test/simulate/random.ts'
import { rankBins } from './calibrationError.ts'
import { featuresOf, scaleOf } from './riskFeatures.ts'
import { firstAnswerLabels, riskSets, trainRisk } from './riskTraining.ts'

const model = 'ab'.repeat(32)
const none = Object.fromEntries(riskSignals.map((name) => [name, null])) as RiskExample['signals']

/** Answers are wrong more often the longer they are; a rule that finds most wrong ones says so. */
function traffic(count: number, seed = 1) {
  const random = createRandom(seed)
  const correct = new Map<string, boolean>()
  const examples = Array.from({ length: count }, (_, i): RiskExample => {
    const length = random.next()
    const isWrong = random.chance(0.6 * length)
    correct.set(`r${i}`, !isWrong)
    return {
      kind: 'RiskExample',
      version: 1,
      route: 'assistant',
      request: `r${i}`,
      model,
      embeddingModel: model,
      labels: ['right', 'wrong'],
      ownLabel: 0,
      votes: { rule: random.chance(0.9) ? Number(isWrong) : null, own: 0 },
      signals: { ...none, answerCharactersLog: length },
      embedding: packedNumbers([random.next() - 0.5, random.next() - 0.5]),
      risk: null,
      cause: 'sure',
    }
  })
  return { examples, correct }
}
const options = {
  scalariser: 'quadratic',
  hidden: 0,
  epochsMax: 40,
  learningRate: 0.02,
  decay: 1e-5,
  weights: new Map<string, number>(),
  heldOutShare: 0.5,
} as const

describe('examples that go together', () => {
  test('are of one model, one embedding and the same labels; the largest set comes first', () => {
    const { examples } = traffic(30)
    const others = examples.slice(0, 5).map((example) => ({ ...example, model: 'cd'.repeat(32) }))
    const unusable = examples.slice(0, 3).map((example) => ({ ...example, ownLabel: null }))
    const { model: _model, ...unnamed } = examples[0] ?? { model }
    const sets = riskSets([...others, ...unusable, ...examples, unnamed as RiskExample])
    expect(sets.map((set) => [set.model.slice(0, 2), set.examples.length])).toEqual([
      ['ab', 30],
      ['cd', 5],
    ])
    expect(sets[0]?.embedding).toEqual({ model, width: 2 })
  })
})

test('a label of what the client got is one of the first answer only where that was given', () => {
  const [first] = traffic(1).examples
  const isGiven = { given: true, again: false, escalated: false }
  const examples = Object.entries(isGiven).map(
    ([request, given]) => ({ ...first, request, isGiven: given }) as RiskExample,
  )
  const { correct, skipped } = firstAnswerLabels(examples, [
    { request: 'given', correct: true },
    { request: 'again', correct: true },
    { request: 'escalated', correct: false, answer: 'first' },
    { request: 'escalated', correct: true },
    { request: 'unknown', correct: true },
  ])
  expect([...correct]).toEqual([
    ['given', true],
    ['escalated', false],
  ])
  expect(skipped).toBe(2)
})

describe('training on what was kept', () => {
  const { examples, correct } = traffic(1_500)
  const [set] = riskSets(examples)
  if (set === undefined) throw new Error('there is one')
  const labelled = new Map([...correct].slice(0, 600))
  const train = (changes: object = {}) => {
    const random = createRandom(3)
    return trainRisk(set, { ...options, correct: labelled, random: () => random.next(), ...changes })
  }

  test('makes a document that its own schema takes, and whose risk rises with what makes answers wrong', () => {
    const { document, predictions } = train()
    expect(RiskCalibration.parse(document)).toEqual(document)
    expect(document.sources).toEqual(['own', 'rule'])
    expect(document.signals.map(({ name }) => name)).toEqual(['answerCharactersLog'])
    expect(predictions).toHaveLength(600)
    expect(document.measured?.calibrationError).toBeLessThan(0.15)
    const errorRates = rankBins(predictions, 4).map(({ errorRate }) => errorRate)
    expect(errorRates.at(-1)).toBeGreaterThan(0.2 + (errorRates[0] ?? 1))
  })

  test('never learns from an answer that it is measured on', () => {
    const { document } = train()
    expect(document.trained.examples).toBe(900)
    const all = train({ correct })
    expect(all.predictions).toHaveLength(750)
    expect(all.document.trained.examples).toBe(750)
  })

  test('measures nothing where nobody labelled anything', () => {
    expect(train({ correct: new Map() }).document.measured).toBeNull()
  })

  test('hears a source as much as it weighs', () => {
    const mean = (own: number) => {
      const { predictions } = train({ weights: new Map([['own', own]]) })
      return predictions.reduce((sum, { risk }) => sum + risk, 0) / predictions.length
    }
    expect(mean(10)).toBeLessThan(mean(0.1))
  })
})

describe('features', () => {
  test('have a spread of about one, whatever the width of the embedding', () => {
    const random = createRandom(5)
    const raw = Array.from({ length: 576 }, () => random.next() - 0.5)
    const length = Math.sqrt(raw.reduce((sum, each) => sum + each * each, 0))
    const features = featuresOf(
      raw.map((each) => each / length),
      [3, null],
      [{ mean: 1, scale: 2 }, scaleOf([])],
    )
    const squares = features.slice(0, 576).reduce((sum, each) => sum + each * each, 0)
    expect(squares / 576).toBeCloseTo(1, 6)
    expect(features.slice(576)).toEqual(Float64Array.of(1, 0))
  })

  test('a signal that never changes is brought to zero, and one that is not a number is not counted', () => {
    expect(scaleOf([2, 2, null])).toEqual({ mean: 2, scale: 1 })
    expect(scaleOf([0, 2, Number.NEGATIVE_INFINITY])).toEqual({ mean: 1, scale: 1 })
  })
})

test('numbers packed into a document come back as 32-bit ones', () => {
  const numbers = [0, 1.5, -2.25, 1e-3]
  expect([...unpackedNumbers(packedNumbers(numbers))]).toEqual([...Float32Array.from(numbers)])
})
