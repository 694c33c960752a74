import { expect, test } from 'vitest'
import { createStepTimes } from './stepTimes.ts'

const costCurve = { rows: [1, 2, 4, 8], contexts: [64], ms: [[5, 8, 10, 14]] }
const step = { contextTokens: 64, promptTokens: 0 }

test('without a table a step is a straight line', () => {
  const times = createStepTimes({ stepMs: 10, rowMs: 2, promptTokensPerSecond: 1_000 })
  expect(times.stepMs({ ...step, counts: [1, 3], promptTokens: 50 })).toBe(10 + 3 * 2 + 50)
  expect(createStepTimes({ stepMs: 0 }).stepMs({ ...step, counts: [1], promptTokens: 50 })).toBe(0)
})

test('with a table a split cache pays a pass for each run of equal drafts, a unified one does not', () => {
  const stepMs = (counts: number[], kvLayout: 'split' | 'unified') =>
    createStepTimes({ costCurve, kvLayout, promptTokensPerSecond: 1_000 }).stepMs({ ...step, counts })
  expect(stepMs([2, 2, 2, 2], 'split')).toBe(14)
  expect(stepMs([4, 3, 2, 1], 'split')).toBe(10 + 9 + 8 + 5)
  expect(stepMs([4, 2, 1, 1], 'unified')).toBe(14)
})

test('a table that is no table is refused', () => {
  const wrong = { ...costCurve, ms: [[5, 8]] }
  expect(() => createStepTimes({ costCurve: wrong })).toThrow(/costCurve/)
})
