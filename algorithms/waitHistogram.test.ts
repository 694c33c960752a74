import fc from 'fast-check'
import { expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { addWait, countOf, merge, quantileMs, stepOf, upperMs } from './waitHistogram.ts'

const waits = fc.array(fc.double({ min: 0, max: 600_000, noNaN: true }), { minLength: 1, maxLength: 200 })
const counted = (values: readonly number[]) => {
  const counts: number[] = []
  for (const value of values) addWait(counts, value)
  return counts
}

test('a wait lies in the step that its value belongs to', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e7, noNaN: true }), (waitMs) => {
      const step = stepOf(waitMs)
      expect(upperMs(step)).toBeGreaterThanOrEqual(waitMs * (1 - 1e-9))
      if (step > 0) expect(upperMs(step - 1)).toBeLessThan(waitMs * (1 + 1e-9))
    }),
  )
  expect([stepOf(0), stepOf(1), stepOf(Number.MAX_VALUE)]).toEqual([0, 0, limits.queue.waitStepsMax - 1])
})

test('a quantile is the true one, rounded up by less than a step', () => {
  fc.assert(
    fc.property(waits, fc.double({ min: 0.01, max: 1, noNaN: true }), (values, share) => {
      const sorted = [...values].sort((a, b) => a - b)
      const exact = Math.max(1, sorted[Math.ceil(share * sorted.length) - 1] ?? 0)
      const found = quantileMs(counted(values), share) ?? 0
      expect(found).toBeGreaterThanOrEqual(exact * (1 - 1e-9))
      expect(found).toBeLessThan(exact * 1.2)
    }),
  )
})

test('parts that are merged say the same as the whole', () => {
  fc.assert(
    fc.property(waits, waits, (a, b) => {
      expect(merge([counted(a), counted(b)])).toEqual(counted([...a, ...b]))
      expect(countOf(merge([counted(a), counted(b)]))).toBe(a.length + b.length)
    }),
  )
})

test('of nothing there is no quantile', () => {
  expect(quantileMs([], 0.95)).toBeNull()
  expect(quantileMs([0, 0], 0.95)).toBeNull()
})
