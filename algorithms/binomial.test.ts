import fc from 'fast-check'
import { expect, test } from 'vitest'
import { betaShare, binomialAtMost, clopperPearson, logGamma, rateLower, rateUpper } from './binomial.ts'

/** Term by term, for small counts. */
function sumOfTerms(wrong: number, labels: number, rate: number): number {
  let term = (1 - rate) ** labels
  let sum = term
  for (let i = 0; i < wrong; i += 1) {
    term *= ((labels - i) / (i + 1)) * (rate / (1 - rate))
    sum += term
  }
  return sum
}

test('the distribution function is the sum of its terms', () => {
  const counts = fc
    .integer({ min: 1, max: 200 })
    .chain((labels) => fc.record({ labels: fc.constant(labels), wrong: fc.integer({ min: 0, max: labels }) }))
  fc.assert(
    fc.property(counts, fc.double({ min: 0.01, max: 0.9, noNaN: true }), (counted, rate) => {
      const expected = counted.wrong === counted.labels ? 1 : sumOfTerms(counted.wrong, counted.labels, rate)
      expect(binomialAtMost(counted, rate)).toBeCloseTo(expected, 10)
    }),
  )
})

test('known intervals: 0 of 10, 1 of 10, 10 of 100 at 95%', () => {
  const of = (wrong: number, labels: number) => {
    const { lower, upper } = clopperPearson({ wrong, labels }, 0.95)
    return [lower.toFixed(4), upper.toFixed(4)]
  }
  expect(of(0, 10)).toEqual(['0.0000', '0.3085'])
  expect(of(1, 10)).toEqual(['0.0025', '0.4450'])
  expect(of(10, 100)).toEqual(['0.0490', '0.1762'])
  expect(of(10, 10)).toEqual(['0.6915', '1.0000'])
})

test('of no wrong one in n the bound is 1 - doubt^(1/n), to the last digits', () => {
  for (const labels of [1, 5, 29, 1_000, 100_000])
    expect(rateUpper({ wrong: 0, labels }, 0.1)).toBeCloseTo(1 - 0.1 ** (1 / labels), 12)
})

test('a bound is where the tail is as large as the doubt, for thousands of labels too', () => {
  for (const counted of [
    { wrong: 3, labels: 50 },
    { wrong: 420, labels: 5_000 },
    { wrong: 9_000, labels: 100_000 },
  ]) {
    expect(binomialAtMost(counted, rateUpper(counted, 0.05))).toBeCloseTo(0.05, 9)
    const fewer = { ...counted, wrong: counted.wrong - 1 }
    expect(1 - binomialAtMost(fewer, rateLower(counted, 0.05))).toBeCloseTo(0.05, 9)
  }
})

test('factorials and symmetry', () => {
  expect(Math.exp(logGamma(11))).toBeCloseTo(3_628_800, 4)
  expect(Math.exp(logGamma(0.5)) ** 2).toBeCloseTo(Math.PI, 12)
  expect(betaShare(0.3, 2, 5) + betaShare(0.7, 5, 2)).toBeCloseTo(1, 14)
  expect([betaShare(0, 2, 3), betaShare(1, 2, 3)]).toEqual([0, 1])
})
