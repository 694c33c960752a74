import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { samplingDefaults } from '#contracts/sampling.ts'
import { mulberry32 } from '#test/simulate/random.ts'
import { referenceLaw } from '../sampling/referenceLaw.ts'
import { chanceFrom } from './chance.ts'
import { type Law, probabilityOf } from './law.ts'
import { LawReader, type Processing } from './processedLaw.ts'

const logit = fc.oneof(
  { weight: 8, arbitrary: fc.float({ min: -20, max: 20, noNaN: true }) },
  { weight: 1, arbitrary: fc.constant(-Infinity) },
  { weight: 1, arbitrary: fc.constantFrom(0, -0, 3) },
)
const row = fc.array(logit, { minLength: 1, maxLength: 300 }).filter((logits) => logits.some((x) => x > -Infinity))
const processing: fc.Arbitrary<Processing> = fc.record({
  temperature: fc.constantFrom(0, 0.1, 0.7, 1, 2),
  topK: fc.constantFrom(0, 0, 1, 2, 7, 40, 1_000),
  minP: fc.constantFrom(0, 0, 0.013, 0.5),
  topP: fc.constantFrom(1, 1, 0.97, 0.51, 0.0001),
})
const plain: Processing = { temperature: 1, topK: 0, minP: 0, topP: 1 }

const read = (logits: readonly number[], how: Processing): Law =>
  new LawReader(logits.length).read(Float32Array.from(logits), how)

/** What a chance whose point is this draws. */
const tokenFrom = (law: Law, inside: Int32Array, point: number) => chanceFrom(() => point).drawOutside(law, inside, 1)

/** Of the parts of the tokens that are left, as shares of what is left. */
function middlesOf(law: Law, inside: Int32Array): number[] {
  const weights = [...law.weights].filter((_, i) => !inside.includes(law.tokens[i] ?? -1))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let before = 0
  return weights.flatMap((weight) => {
    before += weight
    return weight > 1e-9 ? [(before - weight / 2) / total] : []
  })
}

test('the law is the one that the sampler draws from', () => {
  fc.assert(
    fc.property(row, processing, (logits, how) => {
      const law = read(logits, how)
      const expected = referenceLaw({
        logits: [...Float32Array.from(logits)],
        sampling: { ...samplingDefaults, seed: 1, ...how },
      })
      for (const [token, p] of expected.entries()) expect(Math.abs(probabilityOf(law, token) - p)).toBeLessThan(2e-9)
      expect(law.weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12)
      expect([...law.tokens]).toEqual([...law.tokens].sort((a, b) => a - b))
    }),
    { numRuns: 300 },
  )
})

test('a law that is only looked at says the same of every token, and can be walked through', () => {
  fc.assert(
    fc.property(row, processing, (logits, how) => {
      const reader = new LawReader(logits.length)
      const law = reader.look(Float32Array.from(logits), how)
      const asked = logits.map((_, token) => probabilityOf(law, token))
      const whole = read(logits, how)
      for (const [token, p] of asked.entries()) expect(p).toBeCloseTo(probabilityOf(whole, token), 12)
      const inside = Int32Array.from(whole.tokens.slice(0, -1).filter((token) => token % 3 === 0))
      const outside = 1 - inside.reduce((sum, token) => sum + probabilityOf(whole, token), 0)
      // In the middle of a token's part, so that rounding cannot move it to the next.
      for (const point of middlesOf(whole, inside))
        expect(tokenFrom(law, inside, point * outside)).toBe(tokenFrom(whole, inside, point * outside))
      expect(asked.flatMap((p, token) => (p > 0 ? [token] : []))).toEqual([...law.tokens])
      expect([...law.weights]).toEqual([...whole.weights])
    }),
    { numRuns: 300 },
  )
})

describe('a draft law', () => {
  test('may be cut to its head', () => {
    const law = read([1, 4, 2, 3], { ...plain, tokensMax: 2 })
    expect([...law.tokens]).toEqual([1, 3])
    expect(law.weights[0]).toBeCloseTo(1 / (1 + Math.exp(-1)), 14)
  })

  test('is cut first: top_p counts against what the cut leaves', () => {
    const law = read([0, 0, 0, 0], { ...plain, topP: 0.4, tokensMax: 3 })
    expect([...law.tokens]).toEqual([0, 1])
    expect([...read([0, 0, 0, 0], { ...plain, topP: 0.3, tokensMax: 3 }).tokens]).toEqual([0])
  })
})

describe('over a vocabulary of which few tokens are near the best', () => {
  const size = 16_384
  const rowOf = (seed: number, spread: number) => {
    const random = mulberry32(seed)
    return Float32Array.from({ length: size }, () => spread * (random() + random() + random() - 1.5))
  }

  test.each([
    ['peaked', 24],
    ['flat', 4],
  ])('a %s row is read right by every short way', (_, spread) => {
    const reader = new LawReader(size)
    for (const how of [plain, { ...plain, topP: 0.9 }, { ...plain, topK: 40 }, { ...plain, topK: 40, topP: 0.5 }])
      for (const seed of [1, 2, 3]) {
        const logits = rowOf(seed, spread)
        const expected = referenceLaw({ logits: [...logits], sampling: { ...samplingDefaults, seed: 1, ...how } })
        const law = reader.look(logits, how)
        for (let token = 0; token < size; token++)
          if (Math.abs(probabilityOf(law, token) - (expected[token] ?? 0)) > 2e-9)
            expect({ how, seed, token }).toBeNull()
      }
  })

  test('a head is the beginning of the ranking, as far as it is near the best', () => {
    for (const spread of [4, 24]) {
      const logits = rowOf(5, spread)
      const ranking = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b)
      const { tokens } = new LawReader(size).read(logits, { ...plain, tokensMax: 64 })
      expect(tokens.length).toBeGreaterThan(8)
      expect([...tokens]).toEqual(ranking.slice(0, tokens.length).sort((a, b) => a - b))
      const [best = 0] = ranking
      const near = ranking.filter((token) => (logits[token] ?? 0) > (logits[best] ?? 0) - 10)
      expect(tokens.length).toBe(Math.min(64, near.length))
    }
  })
})

test('top_p that needs more leaders than were looked for finds them', () => {
  const logits = Array.from({ length: 5_000 }, (_, token) => -token * 1e-3)
  const law = read(logits, { ...plain, topP: 0.9 })
  expect(law.tokens.length).toBeGreaterThan(2_000)
  const expected = referenceLaw({
    logits: [...Float32Array.from(logits)],
    sampling: { ...samplingDefaults, seed: 1, topP: 0.9 },
  })
  expect(law.tokens.length).toBe(expected.filter((p) => p > 0).length)
})

test('where no token is possible there is no law', () => {
  expect(() => read([-Infinity, -Infinity], plain)).toThrow(/no token is possible/)
})

test('a row with a logit that is no number is refused', () => {
  expect(() => read([1, Number.NaN], plain)).toThrow(/not numbers/)
})
