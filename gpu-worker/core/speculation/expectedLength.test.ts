import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bestLength, expectedTokens, expectedTokensOf } from './expectedLength.ts'

describe('expected tokens', () => {
  test('of independent tokens', () => {
    expect(expectedTokens(0.8, 4)).toBeCloseTo(3.3616, 12)
    expect(expectedTokens(0.5, 3)).toBeCloseTo(1.875, 12)
    expect(expectedTokens(0.3, 0)).toBeCloseTo(1, 12)
    expect(expectedTokens(1, 5)).toBe(6)
  })

  test('of cumulative rates are the same where the rates are those of independent tokens', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(16), (acceptance, length) => {
        const cumulative = Array.from({ length }, (_, i) => acceptance ** (i + 1))
        expect(expectedTokensOf(cumulative, length)).toBeCloseTo(expectedTokens(acceptance, length), 9)
      }),
    )
  })
})

describe('the best length', () => {
  const bestOf = (acceptance: number, sequences: number, options: { rowMs?: number; draftMs?: number } = {}) => {
    const { rowMs = 0.1, draftMs = 0.5 } = options
    return bestLength({
      lengthMax: 8,
      tokens: (k) => sequences * expectedTokens(acceptance, k),
      stepMs: (k) => 10 + rowMs * sequences * (k + 1) + draftMs * k,
    }).length
  }

  test.each<[number, number[]]>([
    [0.5, [3, 2, 1, 0, 0]],
    [0.7, [5, 3, 1, 0, 0]],
    [0.9, [8, 7, 4, 2, 1]],
  ])('falls with the load at acceptance %f', (acceptance, expected) => {
    expect([1, 16, 64, 256, 512].map((sequences) => bestOf(acceptance, sequences))).toEqual(expected)
  })

  test.each<[number, number[], number, number | null]>([
    [1, [6.87, 7.97, 9.41, 9.91, 10.8, 12.29], 3, 241.23],
    [64, [8.53, 10.44, 13.16, 15.7, 17.54, 120.57], 2, 175.42],
  ])('of a measured table with a cliff, %i sequences', (_sequences, latencies, length, perSecond) => {
    const measuredAt = [0, 1, 3, 4, 5, 7]
    const ms = (k: number) => {
      const i = Math.min(
        measuredAt.findIndex((at, j) => at <= k && (measuredAt[j + 1] ?? Infinity) >= k),
        4,
      )
      const [low = 0, high = 0] = [measuredAt[i], measuredAt[i + 1]]
      const [before = 0, after = 0] = [latencies[i], latencies[i + 1]]
      return before + ((after - before) * (k - low)) / (high - low)
    }
    const cumulative = [0.68, 0.39, 0.2, 0.1, 0.06, 0.03, 0.02]
    const best = bestLength({ lengthMax: 7, tokens: (k) => expectedTokensOf(cumulative, k), stepMs: ms })
    expect(best.length).toBe(length)
    expect(1_000 * best.goodput).toBeCloseTo(perSecond ?? 0, 1)
  })

  test('is the smaller of two that are equally good', () => {
    expect(bestLength({ lengthMax: 3, tokens: (k) => k + 1, stepMs: (k) => 5 * (k + 1) }).length).toBe(0)
  })

  test('never grows with the price of a row, where the base step costs no less than drafting a token', () => {
    const rate = fc.double({ min: 0.05, max: 0.95, noNaN: true })
    fc.assert(
      fc.property(rate, fc.integer({ min: 1, max: 64 }), rate, rate, (acceptance, sequences, a, b) => {
        const [cheap, dear] = [Math.min(a, b), Math.max(a, b)]
        expect(bestOf(acceptance, sequences, { rowMs: dear })).toBeLessThanOrEqual(
          bestOf(acceptance, sequences, { rowMs: cheap }),
        )
      }),
    )
  })
})
