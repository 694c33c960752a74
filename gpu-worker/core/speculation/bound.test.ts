import { describe, expect, test } from 'vitest'
import { createRandom } from '#test/simulate/random.ts'
import { greedyAcceptance, optimalOf, optimalWithoutReplacement, optimalWithReplacement } from './bound.ts'
import { type Law, lawOf, overlap, pointLaw, probabilityOf, without } from './law.ts'
import { generatedLaws } from './models.fixture.ts'

// The shared example of the notes: a target, a draft, two drafts.
const p = lawOf([0.5, 0.3, 0.2])
const q = lawOf([0.2, 0.3, 0.5])

describe('the best possible acceptance of two drafts', () => {
  test('is 0.86 with replacement', () => expect(optimalWithReplacement(p, q, 2)).toBeCloseTo(0.86, 14))
  test('is 69/70 without', () => expect(optimalWithoutReplacement(p, q, 2)).toBeCloseTo(69 / 70, 14))
  test('is 0.9 for the greedy choice of drafts', () => expect(greedyAcceptance(p, q, 2)).toBeCloseTo(0.9, 14))
})

describe('the scan over beginnings', () => {
  test('finds the least value over all sets of tokens', () => {
    for (const [p, q] of lawPairs(5, 60)) {
      for (const drafts of [1, 2, 3, 4]) {
        const { withReplacement, withoutReplacement } = leastOverAllSets(p, q, drafts)
        expect(optimalWithReplacement(p, q, drafts)).toBeCloseTo(withReplacement, 12)
        expect(optimalWithoutReplacement(p, q, drafts)).toBeCloseTo(withoutReplacement, 12)
      }
    }
  })
})

describe('the bound', () => {
  test('of one draft is the overlap', () => {
    for (const [p, q] of lawPairs(4, 50)) {
      for (const bound of [optimalWithReplacement, optimalWithoutReplacement, greedyAcceptance])
        expect(bound(p, q, 1)).toBeCloseTo(overlap(p, q), 12)
    }
  })

  test('never falls with the number of drafts', () => {
    for (const [p, q] of lawPairs(6, 50)) {
      for (const bound of [optimalWithReplacement, optimalWithoutReplacement]) {
        const values = [1, 2, 3, 4, 5, 8].map((drafts) => bound(p, q, drafts))
        for (const [i, value] of values.entries()) expect(value).toBeGreaterThan((values[i - 1] ?? 0) - 1e-12)
      }
    }
  })

  test('is 1 where draft and target agree, and never more', () => {
    for (const [p, q] of lawPairs(5, 50)) {
      for (const drafts of [1, 2, 3]) {
        for (const bound of [optimalWithReplacement, optimalWithoutReplacement]) {
          expect(bound(p, p, drafts)).toBeCloseTo(1, 12)
          expect(bound(p, q, drafts)).toBeLessThan(1 + 1e-12)
        }
      }
    }
  })

  test('of a sure draft is what the target thinks of it', () => {
    for (const bound of [optimalWithReplacement, optimalWithoutReplacement, greedyAcceptance])
      expect(bound(p, pointLaw(1), 3)).toBeCloseTo(0.3, 14)
  })

  test('holds its digits where almost nothing is outside', () => {
    const skewed = lawOf([1, 1e-3, 1e-9, 1e-12, 1e-15])
    const target = lawOf([1, 2, 3, 4, 5])
    for (const drafts of [2, 3]) {
      const { withoutReplacement } = leastOverAllSets(target, skewed, drafts)
      expect(optimalWithoutReplacement(target, skewed, drafts)).toBeCloseTo(withoutReplacement, 12)
    }
    const surest = lawOf([1, 1e-30, 1e-31])
    expect(optimalWithoutReplacement(target, surest, 2)).toBeCloseTo(3 / 15 + 1 / 11, 12)
  })
})

function lawPairs(vocabulary: number, count: number): (readonly [Law, Law])[] {
  const random = createRandom(vocabulary)
  return Array.from({ length: count }, () => generatedLaws(random, vocabulary))
}

/** The definition: every set, every tuple of drafts. */
function leastOverAllSets(p: Law, q: Law, drafts: number) {
  const vocabulary = Math.max(p.tokens.at(-1) ?? 0, q.tokens.at(-1) ?? 0) + 1
  const least = { withReplacement: 1, withoutReplacement: 1 }
  for (let set = 0; set < 2 ** vocabulary; set++) {
    const tokens = Array.from({ length: vocabulary }, (_, token) => token).filter((token) => (set >> token) & 1)
    const mass = (law: Law) => tokens.reduce((sum, token) => sum + probabilityOf(law, token), 0)
    const drawn = allInside(q, tokens, Math.min(drafts, q.tokens.length))
    least.withReplacement = Math.min(least.withReplacement, mass(p) + 1 - mass(q) ** drafts)
    least.withoutReplacement = Math.min(least.withoutReplacement, mass(p) + 1 - drawn)
  }
  return least
}

/** The chance that all of `drafts` draws without replacement are among `tokens`. */
function allInside(q: Law, tokens: readonly number[], drafts: number): number {
  if (drafts === 0) return 1
  return tokens.reduce((sum, token) => {
    const chance = probabilityOf(q, token)
    if (chance === 0) return sum
    const left = q.tokens.filter((other) => other !== token)
    const others = tokens.filter((other) => other !== token)
    if (left.length === 0) return sum + chance
    const rest = lawOf(
      Array.from({ length: (q.tokens.at(-1) ?? 0) + 1 }, (_, at) => (at === token ? 0 : probabilityOf(q, at))),
    )
    return sum + chance * allInside(rest, others, drafts - 1)
  }, 0)
}

describe('the bound of given siblings follows from how they came about', () => {
  const rest = without(q, 2) ?? q
  test('one draw', () => expect(optimalOf(p, [{ token: 0, law: q }])).toBeCloseTo(0.7, 14))
  test('two, put back', () => {
    const siblings = [2, 2].map((token) => ({ token, law: q }))
    expect(optimalOf(p, siblings)).toBeCloseTo(0.86, 14)
  })
  test('two distinct ones', () => {
    const siblings = [
      { token: 2, law: q },
      { token: 1, law: rest },
    ]
    expect(optimalOf(p, siblings)).toBeCloseTo(69 / 70, 14)
  })
  test('the best and a draw from the rest', () => {
    const siblings = [
      { token: 2, law: pointLaw(2) },
      { token: 0, law: rest },
    ]
    expect(optimalOf(p, siblings)).toBeCloseTo(0.9, 14)
  })
  test('tokens that nobody drew', () => {
    const siblings = [2, 1].map((token) => ({ token, law: null }))
    expect(optimalOf(p, siblings)).toBeCloseTo(0.5, 14)
  })
})
