import fc from 'fast-check'
import { expect, test } from 'vitest'
import { depthOf, isDeeperThan } from './jsonDepth.ts'

const bytes = (text: string) => Buffer.from(text)

test('ten thousand levels are refused without recursion', () => {
  expect(isDeeperThan(bytes('['.repeat(10_000)), 64)).toBe(true)
  expect(isDeeperThan(bytes('{"a":'.repeat(10_000)), 64)).toBe(true)
})

test('brackets within strings do not count', () => {
  expect(isDeeperThan(bytes(JSON.stringify({ a: '[[[["\\[[[' })), 1)).toBe(false)
})

test('many levels beside each other are not deep', () => {
  expect(isDeeperThan(bytes(`[${'[],'.repeat(1_000)}[]]`), 2)).toBe(false)
})

test('a string that never ends ends the scan', () => {
  expect(isDeeperThan(bytes('"[[[['), 1)).toBe(false)
  expect(isDeeperThan(bytes('"\\'), 1)).toBe(false)
})

test('for every JSON value the text is as deep as the value', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.integer({ min: 0, max: 8 }), (value, max) => {
      expect(isDeeperThan(bytes(JSON.stringify(value)), max)).toBe(depthOf(value, 100) > max)
    }),
  )
})
