import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { matches, parseGbnf } from './gbnf.ts'
import { integerBetween, numberBetween } from './numbers.ts'

function acceptorOf(expression: string | null): (text: string) => boolean {
  if (expression === null) return () => false
  const grammar = parseGbnf(`root ::= ${expression}`)
  return (text) => matches(grammar, text)
}

test('an integer range accepts exactly its integers', () => {
  const bound = fc.option(fc.oneof(fc.integer({ min: -300, max: 300 }), fc.maxSafeInteger()))
  fc.assert(
    fc.property(
      bound,
      bound,
      fc.array(fc.oneof(fc.integer({ min: -400, max: 400 }), fc.maxSafeInteger())),
      (min, max, values) => {
        const accepts = acceptorOf(integerBetween(min === null ? null : BigInt(min), max === null ? null : BigInt(max)))
        const near = [min, max].flatMap((x) => (x === null ? [] : [x - 1, x, x + 1]))
        for (const value of [...values, ...near, 0, 1, -1]) {
          const isWithin = (min === null || value >= min) && (max === null || value <= max)
          expect(accepts(String(value))).toBe(isWithin)
        }
        for (const wrong of ['', '-', '00', '01', '-0', '1.0', '+1', '1e3']) expect(accepts(wrong)).toBe(false)
      },
    ),
    { numRuns: 400, seed: 1 },
  )
})

test('a number range accepts exactly the decimals within, bounds included or not', () => {
  const decimal = fc
    .tuple(fc.integer({ min: -2_000, max: 2_000 }), fc.constantFrom(1, 10, 100, 1_000))
    .map(([a, b]) => a / b)
  const range = fc.record({
    min: fc.option(decimal),
    minExclusive: fc.boolean(),
    max: fc.option(decimal),
    maxExclusive: fc.boolean(),
  })
  fc.assert(
    fc.property(range, fc.array(decimal, { minLength: 5 }), (bounds, values) => {
      const { min, max, minExclusive, maxExclusive } = bounds
      const accepts = acceptorOf(numberBetween(bounds))
      const near = [min, max].flatMap((x) => (x === null ? [] : [x, x + 0.001, x - 0.001, x + 1, x - 1]))
      for (const value of [...values, ...near.map((x) => Number(x.toFixed(4))), 0, 0.5]) {
        if (Object.is(value, -0)) continue
        const isAbove = min === null || value > min || (!minExclusive && value === min)
        const isBelow = max === null || value < max || (!maxExclusive && value === max)
        expect(accepts(String(value))).toBe(isAbove && isBelow)
        if (Number.isInteger(value)) expect(accepts(`${value}.00`)).toBe(isAbove && isBelow)
      }
    }),
    { numRuns: 600, seed: 2 },
  )
})

test('bounds written with an exponent are read exactly', () => {
  const tiny = acceptorOf(numberBetween({ min: 1e-7, minExclusive: false, max: null, maxExclusive: false }))
  expect(tiny('0.0000001')).toBe(true)
  expect(tiny('0.00000009')).toBe(false)
  const huge = acceptorOf(numberBetween({ min: null, minExclusive: false, max: 1e21, maxExclusive: true }))
  expect(huge('12345678901234567890')).toBe(true)
  expect(huge('1000000000000000000000')).toBe(false)
})
