import { expect, test } from 'vitest'
import { mulberry32 } from '#test/simulate/random.ts'
import { LikeliestReader } from './mostLikely.ts'

const mostLikely = (logits: Float32Array) => new LikeliestReader(logits.length).read(logits)

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
  expect(() => mostLikely(new Float32Array(4).fill(Number.NaN))).toThrow(/not numbers/)
})

test('of a large vocabulary it is nearly right, whether the row is peaked or flat', () => {
  const size = 16_384
  for (const spread of [4, 12, 24]) {
    const random = mulberry32(spread)
    const logits = Float32Array.from({ length: size }, () => spread * (random() + random() + random() - 1.5))
    const best = Math.max(...logits)
    const masses = Float64Array.from(logits, (logit) => Math.exp(logit - best))
    const total = masses.reduce((sum, mass) => sum + mass, 0)
    const entropy = masses.reduce((sum, mass) => sum - (mass / total) * Math.log(mass / total), 0)
    const read = mostLikely(logits)
    expect(logits[read.token]).toBe(best)
    expect(read.probability * total).toBeGreaterThan(0.95)
    expect(read.probability * total).toBeLessThan(1.05)
    expect(Math.abs(read.entropy - entropy)).toBeLessThan(0.1)
  }
})
