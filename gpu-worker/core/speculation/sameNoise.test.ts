import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { samplingDefaults } from '#contracts/sampling.ts'
import { mulberry32 } from '#test/simulate/random.ts'
import { createSampler } from '../sampling/sampler.ts'
import { bestOf, lawOf, overlap, probabilityOf } from './law.ts'
import { LawReader } from './processedLaw.ts'
import { believedUnder } from './sameNoise.ts'

const vocabularySize = 300
const reader = new LawReader(vocabularySize)

function rowOf(seed: number): Float32Array {
  const random = mulberry32(seed)
  return Float32Array.from({ length: vocabularySize }, () => 6 * (random() + random() - 1))
}

const rows = fc.integer({ min: 1, max: 1e6 }).map(rowOf)
const place = fc.record({ seed: fc.nat(), position: fc.integer({ min: 1, max: 4_000 }) })
const processing = fc.constantFrom(
  { temperature: 1, topK: 0, minP: 0, topP: 1 },
  { temperature: 0.4, topK: 0, minP: 0.05, topP: 1 },
  { temperature: 0.9, topK: 7, minP: 0, topP: 0.8 },
)

describe('a draft that knows the noise', () => {
  test('believes in the token that the sampler chooses, where the models agree', () => {
    fc.assert(
      fc.property(rows, place, processing, (row, { seed, position }, how) => {
        const belief = believedUnder(
          { seed, position, temperature: how.temperature },
          reader.read(row, { ...how, tokensMax: vocabularySize }),
        )
        const sampling = { ...samplingDefaults, ...how, seed }
        const sampler = createSampler({ sampling, vocabularySize, endTokens: [], prompt: [] })
        expect(bestOf(belief)).toBe(sampler.sample({ logits: row.slice(), position }).token)
      }),
    )
  })

  test('is right as often as the coupling of the two laws promises, at least', () => {
    const [p, q] = [lawOf([0.5, 0.3, 0.2]), lawOf([0.2, 0.3, 0.5])]
    const places = 20_000
    let same = 0
    for (let position = 0; position < places; position++) {
      const noise = { seed: 3, position, temperature: 1 }
      if (bestOf(believedUnder(noise, p)) === bestOf(believedUnder(noise, q))) same += 1
    }
    // 1 / Σ max(p_j / p_i, q_j / q_i) for each token i that both choose.
    const both = [0, 1, 2].map((i) => {
      const ratio = (law: typeof p, j: number) => probabilityOf(law, j) / probabilityOf(law, i)
      return 1 / [0, 1, 2].reduce((sum, j) => sum + Math.max(ratio(p, j), ratio(q, j)), 0)
    })
    const expected = both.reduce((sum, share) => sum + share, 0)
    const apart = 1 - overlap(p, q)
    expect(expected).toBeGreaterThanOrEqual((1 - apart) / (1 + apart))
    expect(Math.abs(same / places - expected)).toBeLessThan(4 * Math.sqrt(0.25 / places))
  })

  test('is the surer the further the winner is ahead', () => {
    const law = lawOf([0.25, 0.25, 0.25, 0.25])
    const beliefs = Array.from({ length: 200 }, (_, position) => {
      const belief = believedUnder({ seed: 9, position, temperature: 1 }, law)
      return probabilityOf(belief, bestOf(belief))
    })
    expect(Math.min(...beliefs)).toBeGreaterThanOrEqual(0.25)
    expect(Math.max(...beliefs)).toBeGreaterThan(0.8)
  })
})
