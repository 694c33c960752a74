import { expect, test } from 'vitest'
import { decay64, decayScale } from './exponential.ts'

test('the quick exponential keeps its error bound over its whole reach, and is 0 beyond', () => {
  let worst = 0
  for (let x = 0; x < 40; x += 0.000_37) worst = Math.max(worst, Math.abs(decay64(x * decayScale) / Math.exp(-x) - 1))
  expect(worst).toBeLessThan(2e-10)
  expect(decay64(40 * decayScale)).toBe(0)
  expect(decay64(Number.POSITIVE_INFINITY)).toBe(0)
})
