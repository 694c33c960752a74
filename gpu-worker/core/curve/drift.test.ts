import { expect, test } from 'vitest'
import { observeStep, predictStepMs, priorCurve } from '#algorithms/costCurve.ts'
import { Drift } from './drift.ts'

const curve = () => priorCurve({ slots: 16, contextTokensMax: 4_096, stepMs: 10, promptTokensPerSecond: 500 })

function drifts(ratio: number, how: { steps?: number; contextTokens?: number; rows?: number } = {}): boolean {
  const { steps = 40, contextTokens = 100, rows = 2 } = how
  const measured = curve()
  const drift = new Drift(measured)
  for (let i = 0; i < steps; i++)
    drift.observe({ rows, contextTokens, ms: ratio * predictStepMs(curve(), { rows, contextTokens }) })
  return drift.hasDrifted
}

test('steps that are much shorter or longer than measured are a drift, once there are enough', () => {
  expect([drifts(0.5), drifts(1.6)]).toEqual([true, true])
  expect(drifts(0.5, { steps: 8 })).toBe(false)
})

test('steps near what was measured are none', () => {
  expect([drifts(0.85), drifts(1), drifts(1.2)]).toEqual([false, false, false])
})

test('long contexts say nothing: they were not measured', () => {
  expect(drifts(2, { contextTokens: 2_000 })).toBe(false)
})

test('a stalled step now and then is none', () => {
  const drift = new Drift(curve())
  const shape = { rows: 4, contextTokens: 64 }
  for (let i = 0; i < 200; i++) drift.observe({ ...shape, ms: predictStepMs(curve(), shape) * (i % 20 === 0 ? 50 : 1) })
  expect(drift.hasDrifted).toBe(false)
})

test('that the curve has followed the live steps hides nothing', () => {
  const live = curve()
  const drift = new Drift(live)
  const shape = { rows: 1, contextTokens: 64 }
  const ms = 0.5 * predictStepMs(live, shape)
  for (let i = 0; i < 100; i++) {
    observeStep(live, { ...shape, ms })
    drift.observe({ ...shape, ms })
  }
  expect(predictStepMs(live, shape) / ms).toBeCloseTo(1, 1)
  expect(drift.hasDrifted).toBe(true)
})
