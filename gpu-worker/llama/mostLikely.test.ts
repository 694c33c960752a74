import { expect, test } from 'vitest'
import { mostLikely } from './mostLikely.ts'

test('the best token, and what the softmax gives it', () => {
  const { token, probability } = mostLikely(Float32Array.of(0, Math.log(3), -100))
  expect(token).toBe(1)
  expect(probability).toBeCloseTo(0.75, 6)
})

test('a row without numbers is a fault', () => {
  expect(() => mostLikely(new Float32Array(4).fill(Number.NaN))).toThrow(/no numbers/)
})
