import { expect, test } from 'vitest'
import { mostLikely } from './mostLikely.ts'

test('the best token, and what the softmax gives it', () => {
  const { token, probability } = mostLikely(Float32Array.of(0, Math.log(3), -100))
  expect(token).toBe(1)
  expect(probability).toBeCloseTo(0.75, 6)
})

test('how far ahead it is, and how undecided the row', () => {
  const { margin, entropy } = mostLikely(Float32Array.of(Math.log(0.5), Math.log(0.3), Math.log(0.2)))
  expect(margin).toBeCloseTo(0.2, 6)
  expect(entropy).toBeCloseTo(-(0.5 * Math.log(0.5) + 0.3 * Math.log(0.3) + 0.2 * Math.log(0.2)), 6)
  expect(mostLikely(Float32Array.of(1, 1))).toMatchObject({ token: 0, probability: 0.5, margin: 0 })
  expect(mostLikely(Float32Array.of(3))).toEqual({ token: 0, probability: 1, margin: 1, entropy: 0 })
})

test('a row without numbers is a fault', () => {
  expect(() => mostLikely(new Float32Array(4).fill(Number.NaN))).toThrow(/no numbers/)
})
