import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { TenantId } from '#contracts/ids.ts'
import type { Content, Owner } from './cells.ts'
import { PrefixIndex, sharedLength } from './prefixCache.ts'

const a: Owner = { tenant: TenantId.parse('a'), expert: null }
const b: Owner = { tenant: TenantId.parse('b'), expert: null }
const content = (tokens: number[], owner = a): Content => ({ ...owner, tokens, digests: [] })
const index = (bytesMax = 1_000, entriesMax = 10) => new PrefixIndex({ bytesMax, entriesMax })

test('the longest shared prefix is found, whole or in part', () => {
  const cache = index()
  const short = cache.add(content([1, 2, 9]), 10)
  const long = cache.add(content([1, 2, 3, 4, 5]), 10)
  expect(cache.find(a, [1, 2, 3, 4, 7, 8])).toEqual({ key: long.key, length: 4 })
  expect(cache.find(a, [1, 2, 9, 9])).toEqual({ key: short.key, length: 3 })
  expect(cache.find(a, [5])).toBeNull()
})

test('no tenant finds what another one saved, and no expert', () => {
  const cache = index()
  cache.add(content([1, 2, 3]), 10)
  expect(cache.find(b, [1, 2, 3, 4])).toBeNull()
  expect(cache.find({ ...a, expert: 'sql' }, [1, 2, 3, 4])).toBeNull()
  expect(cache.add(content([1, 2, 3, 4], { ...a, expert: 'sql' }), 10).dropped).toEqual([])
})

test('an entry that a new one contains is dropped, and what is contained is not wanted', () => {
  const cache = index()
  const first = cache.add(content([1, 2]), 10)
  expect(cache.wants(content([1]), 10)).toBe(false)
  expect(cache.add(content([1, 2, 3]), 15).dropped).toEqual([first.key])
  expect([cache.size, cache.bytes]).toEqual([1, 15])
})

test('the least recently used entry makes room', () => {
  const cache = index(30)
  const one = cache.add(content([1]), 10)
  const two = cache.add(content([2]), 10)
  cache.add(content([3]), 10)
  cache.touch(one.key)
  expect(cache.add(content([4]), 10).dropped).toEqual([two.key])
  expect(cache.find(a, [1])).not.toBeNull()
})

test('bytes and entries never pass their bounds, and bytes are the sum of what is held', () => {
  const entry = fc.record({
    tokens: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 5 }),
    bytes: fc.integer({ min: 1, max: 40 }),
  })
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 40 }), (entries) => {
      const cache = index(100, 4)
      const held = new Map<number, number>()
      for (const { tokens, bytes } of entries) {
        if (!cache.wants(content(tokens), bytes)) continue
        const { key, dropped } = cache.add(content(tokens), bytes)
        for (const old of dropped) held.delete(old)
        held.set(key, bytes)
        expect(cache.bytes).toBe([...held.values()].reduce((sum, n) => sum + n, 0))
        expect(cache.bytes).toBeLessThanOrEqual(100)
        expect(cache.size).toBe(held.size)
        expect(held.size).toBeLessThanOrEqual(4)
      }
    }),
  )
})

test('a state over the bound, or any state where the cache is off, is not wanted', () => {
  expect(index(5).wants(content([1]), 6)).toBe(false)
  expect(index(0, 0).wants(content([1]), 0)).toBe(false)
})

test('shared length stops at the first difference', () => {
  expect(sharedLength([1, 2, 3], [1, 2, 4])).toBe(2)
  expect(sharedLength([], [1])).toBe(0)
  expect(sharedLength([1, 2], [1, 2, 3])).toBe(2)
})
