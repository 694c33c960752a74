import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { CostCurveMessage } from '#contracts/messages.ts'
import {
  curveFrom,
  curveMessage,
  measurePrompt,
  measureRows,
  observePrompt,
  observeStep,
  predictPromptMs,
  predictStepMs,
  priorCurve,
  rowGrid,
} from './costCurve.ts'

const prior = () => priorCurve({ slots: 8, contextTokensMax: 2_048, stepMs: 10, promptTokensPerSecond: 500 })
/** A machine whose steps take (2 + rows) · (1 + context / 1000) ms. */
const truth = (rows: number, contextTokens: number) => (2 + rows) * (1 + contextTokens / 1_000)

test('the grid of rows ends with the number of slots and ascends', () => {
  expect(rowGrid(1)).toEqual([1])
  expect(rowGrid(8)).toEqual([1, 2, 3, 4, 6, 8])
  expect(rowGrid(20)).toEqual([1, 2, 3, 4, 6, 8, 12, 16, 20])
})

test('a prediction lies between the nodes around it and grows with rows and context', () => {
  const curve = prior()
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 32 }), fc.integer({ min: 0, max: 4_000 }), (rows, contextTokens) => {
      const here = predictStepMs(curve, { rows, contextTokens })
      expect(here).toBeGreaterThan(0)
      expect(predictStepMs(curve, { rows: rows + 1, contextTokens })).toBeGreaterThanOrEqual(here)
      expect(predictStepMs(curve, { rows, contextTokens: contextTokens + 100 })).toBeGreaterThanOrEqual(here)
    }),
  )
})

test('live steps pull the curve to within 15% of the machine wherever they went', () => {
  const curve = prior()
  for (let i = 0; i < 2_000; i++) {
    const rows = 1 + (i % 8)
    const contextTokens = 100 + ((i * 37) % 900)
    observeStep(curve, { rows, contextTokens, ms: truth(rows, contextTokens) })
  }
  for (const rows of [1, 2, 4, 8])
    for (const contextTokens of [128, 400, 800]) {
      const error = predictStepMs(curve, { rows, contextTokens }) / truth(rows, contextTokens) - 1
      expect(Math.abs(error)).toBeLessThan(0.15)
    }
  expect(curve.origin).toBe('measured')
})

test('the first step on an unknown machine scales the whole guess', () => {
  const curve = prior()
  observeStep(curve, { rows: 1, contextTokens: 64, ms: 1 })
  expect(predictStepMs(curve, { rows: 1, contextTokens: 64 })).toBeCloseTo(1, 5)
  expect(predictStepMs(curve, { rows: 8, contextTokens: 64 })).toBeLessThan(5)
})

test('one stalled step among many moves the curve by less than a fifth', () => {
  const curve = prior()
  for (let i = 0; i < 100; i++) observeStep(curve, { rows: 4, contextTokens: 256, ms: 12 })
  observeStep(curve, { rows: 4, contextTokens: 256, ms: 5_000 })
  expect(predictStepMs(curve, { rows: 4, contextTokens: 256 })).toBeLessThan(12 * 1.2)
})

test('prompt speed is taken over from the first real chunk and tiny chunks are ignored', () => {
  const curve = prior()
  observePrompt(curve, { tokens: 4, ms: 1_000 })
  expect(predictPromptMs(curve, 500)).toBeCloseTo(1_000)
  observePrompt(curve, { tokens: 256, ms: 256 })
  expect(predictPromptMs(curve, 500)).toBeCloseTo(500)
})

test('what is measured on purpose replaces what live steps had made of it, at longer contexts in proportion', () => {
  const curve = prior()
  for (let i = 0; i < 100; i++) observeStep(curve, { rows: 8, contextTokens: 64, ms: 80 })
  const longBefore = predictStepMs(curve, { rows: 8, contextTokens: 1_024 })
  measureRows(curve, { rows: 8, contextTokens: 64, ms: 40, isSure: true })
  expect(predictStepMs(curve, { rows: 8, contextTokens: 64 })).toBeCloseTo(40, 6)
  expect(predictStepMs(curve, { rows: 8, contextTokens: 1_024 })).toBeCloseTo(longBefore / 2, 1)
  measurePrompt(curve, { tokens: 64, ms: 100 })
  expect(predictPromptMs(curve, 640)).toBeCloseTo(1_000, 6)
})

test('one live step does not move what was measured, and takes over from what was not sure', () => {
  const [sure, unsure] = [true, false].map((isSure) => {
    const curve = prior()
    for (const rows of curve.rows) measureRows(curve, { rows, contextTokens: 64, ms: 20, isSure })
    observeStep(curve, { rows: 4, contextTokens: 64, ms: 10 })
    return { curve, ms: predictStepMs(curve, { rows: 4, contextTokens: 64 }) }
  })
  expect(sure?.curve.origin).toBe('measured')
  expect(sure?.ms).toBeGreaterThan(17)
  expect(unsure?.curve.origin).toBe('prior')
  expect(unsure?.ms).toBeCloseTo(10, 6)
})

test('one stalled step undoes a guess, and hardly what was measured well before', () => {
  const message = curveMessage(prior())
  const shape = { rows: 1, contextTokens: 64 }
  const after = (isSure: boolean) => {
    const curve = curveFrom(message, { isSure })
    if (curve === null) return Number.NaN
    const before = predictStepMs(curve, shape)
    observeStep(curve, { ...shape, ms: 2 * before })
    return predictStepMs(curve, shape) / before
  }
  expect(after(false)).toBeGreaterThan(1.9)
  expect(after(true)).toBeLessThan(1.1)
})

test('a curve survives its message, and a broken message is refused', () => {
  const curve = prior()
  observeStep(curve, { rows: 2, contextTokens: 100, ms: 7 })
  const message = CostCurveMessage.parse(JSON.parse(JSON.stringify(curveMessage(curve))))
  const again = curveFrom(message)
  expect(again?.origin).toBe('cached')
  if (again === null) return
  const shape = { rows: 5, contextTokens: 300 }
  expect(predictStepMs(again, shape) / predictStepMs(curve, shape)).toBeCloseTo(1, 2)
  expect(curveFrom({ ...message, rows: [2, 1] })).toBeNull()
  expect(curveFrom({ ...message, ms: [] })).toBeNull()
})
