import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRandom } from '#test/simulate/random.ts'
import { chanceFrom, tokenAt } from './chance.ts'
import { bestOf, type Law, lawOf, overlap, pointLaw, probabilityOf, residual, unionOfSupports, without } from './law.ts'
import { Remainder } from './remainder.ts'

const weights = fc
  .array(fc.oneof(fc.constant(0), fc.double({ min: 1e-6, max: 1, noNaN: true })), { minLength: 1, maxLength: 12 })
  .filter((list) => list.some((weight) => weight > 0))
const someLaw = weights.map(lawOf)
const dense = (law: Law) => Array.from({ length: 12 }, (_, token) => probabilityOf(law, token))

describe('a law', () => {
  test('is its support', () => {
    expect(lawOf([0, 1, 0, 3])).toEqual({ tokens: Int32Array.of(1, 3), weights: Float64Array.of(0.25, 0.75) })
    expect(() => lawOf([0, 0])).toThrow('no mass')
  })

  test('without a token is renormalised, and null where that was all', () => {
    expect(without(lawOf([1, 1, 2]), 2)).toEqual(lawOf([1, 1]))
    expect(without(pointLaw(3), 3)).toBeNull()
    expect(without(pointLaw(3), 4)).toEqual(pointLaw(3))
  })

  test('has its best token, of equals the lowest', () => expect(bestOf(lawOf([1, 3, 3]))).toBe(1))

  test('overlap and residual are what their definitions say', () => {
    fc.assert(
      fc.property(someLaw, someLaw, (p, q) => {
        const [dp, dq] = [dense(p), dense(q)]
        const least = dp.map((weight, token) => Math.min(weight, dq[token] ?? 0))
        const shared = least.reduce((sum, weight) => sum + weight, 0)
        expect(overlap(p, q)).toBeCloseTo(shared, 12)
        const left = residual(p, q)
        if (left === null || shared > 1 - 1e-9) return
        for (const [token, weight] of dense(left).entries())
          expect(weight).toBeCloseTo(((dp[token] ?? 0) - (least[token] ?? 0)) / (1 - shared), 6)
      }),
    )
  })

  test('several supports are one list', () => {
    expect([...unionOfSupports([lawOf([0, 1, 1]), lawOf([1, 0, 1]), lawOf([0, 0, 0, 1])])]).toEqual([0, 1, 2, 3])
    expect([...unionOfSupports([])]).toEqual([])
  })
})

describe('what remains of the target', () => {
  test('is the residual of a residual, whatever is taken away', () => {
    fc.assert(
      fc.property(someLaw, someLaw, someLaw, (p, first, second) => {
        const once = residual(p, first)
        const twice = once === null ? null : residual(once, second)
        fc.pre(once !== null && twice !== null && overlap(p, first) < 0.999 && overlap(once, second) < 0.999)
        const remainder = new Remainder(p, unionOfSupports([p, first, second]))
        remainder.takeAway(first)
        remainder.takeAway(second)
        for (const token of p.tokens)
          expect(remainder.probabilityOf(token)).toBeCloseTo(twice === null ? 0 : probabilityOf(twice, token), 9)
      }),
    )
  })

  test('stays as it was where rounding alone could have used it up', () => {
    const p = lawOf([1, 2])
    const remainder = new Remainder(p, p.tokens)
    remainder.takeAway(p)
    expect(remainder.probabilityOf(1)).toBeCloseTo(2 / 3, 14)
  })
})

describe('a draw', () => {
  test('takes the token in whose part of the interval the point lies', () => {
    const law = lawOf([0.25, 0, 0.5, 0.25])
    expect([0, 0.2499, 0.25, 0.7499, 0.75, 0.9999].map((point) => tokenAt(law, point))).toEqual([0, 0, 2, 2, 3, 3])
  })

  test('that rounding carries beyond the end takes the last possible token', () => {
    const tokens = Int32Array.of(1, 2, 3)
    expect(tokenAt({ tokens, weights: Float64Array.of(0.5, 0.5 - 1e-16, 0) }, 1)).toBe(2)
  })

  test('from a large law looks at blocks and finds the same token', () => {
    const random = createRandom(1)
    const law = lawOf(Array.from({ length: 5_000 }, () => (random.chance(0.3) ? 0 : random.next() ** 4)))
    expect(law.blocks?.length).toBe(Math.ceil(law.tokens.length / 64))
    const { tokens, weights: each } = law
    for (let i = 0; i < 500; i++) {
      const point = random.next()
      expect(tokenAt(law, point)).toBe(tokenAt({ tokens, weights: each }, point))
    }
  })

  test('outside of some tokens never gives one of them, and the others in proportion', () => {
    const random = createRandom(2)
    const law = lawOf(Array.from({ length: 3_000 }, () => random.next()))
    const inside = law.tokens.filter((token) => token % 7 === 0 || (token > 500 && token < 900))
    const outside = law.tokens.filter((token) => !inside.includes(token))
    const mass = outside.reduce((sum, token) => sum + probabilityOf(law, token), 0)
    const conditional = lawOf(
      Array.from({ length: 3_000 }, (_, token) => (outside.includes(token) ? probabilityOf(law, token) : 0)),
    )
    for (let i = 0; i < 500; i++) {
      const point = random.next()
      expect(chanceFrom(() => point).drawOutside(law, inside, mass)).toBe(tokenAt(conditional, point))
    }
    expect(() => chanceFrom(() => 0.5).drawOutside(law, law.tokens, 1)).toThrow(/no token/)
  })

  test('happens below its probability only', () => {
    expect([0, 0.5, 1].map((probability) => chanceFrom(() => 0.5).happens(probability))).toEqual([false, false, true])
    expect(chanceFrom(() => 0).happens(0)).toBe(false)
  })
})
