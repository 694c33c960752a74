import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seeded } from '../seeded.ts'
import { atRandom } from './atRandom.ts'
import { PolicyCache } from './cache.ts'
import { leastRecent } from './leastRecent.ts'
import { lookAhead } from './lookAhead.ts'
import { offlineOptimum } from './offline.ts'
import { cachePolicyNames, createCachePolicy } from './policies.ts'
import type { CacheItem } from './policy.ts'
import { missesOf } from './trace.fixture.ts'

const item = (key: string, bytes = 1, cost = bytes): CacheItem<string> => ({ key, bytes, cost })
const anyTrace = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 80 })
const anyCapacity = fc.integer({ min: 1, max: 10 })
const anyPolicy = fc.constantFrom(...cachePolicyNames)

describe('any policy', () => {
  const anyUse = fc.record({
    key: fc.integer({ min: 0, max: 9 }),
    mayGo: fc.boolean(),
    pinned: fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }),
  })
  const anySizes = fc.array(
    fc.record({ bytes: fc.integer({ min: 1, max: 7 }), cost: fc.integer({ min: 1, max: 5 }) }),
    {
      minLength: 10,
      maxLength: 10,
    },
  )
  const inputs = [anyPolicy, fc.integer({ min: 0, max: 20 }), anySizes, fc.array(anyUse, { maxLength: 60 })] as const

  test('holds at most its bytes, never evicts what is pinned, and reports exactly what left', () => {
    fc.assert(
      fc.property(...inputs, (name, bytesMax, sizes, uses) => {
        const cache = new PolicyCache<number>({ bytesMax, policy: createCachePolicy(name, seeded(1)) })
        const resident = new Set<number>()
        for (const [i, { key, mayGo, pinned }] of uses.entries()) {
          const { bytes, cost } = sizes[key] ?? { bytes: 1, cost: 1 }
          const upcoming = uses.slice(i + 1).map((use) => use.key)
          const used = cache.use({ key, bytes, cost }, { upcoming, mayGo, isPinned: (other) => pinned.includes(other) })
          expect(used.kind === 'hit').toBe(resident.has(key))
          if (used.kind === 'miss') {
            for (const gone of used.evicted) expect(resident.delete(gone) && !pinned.includes(gone)).toBe(true)
            resident.add(key)
          }
          expect(new Set(cache.items().map((held) => held.key))).toEqual(resident)
          expect(cache.bytes).toBeLessThanOrEqual(bytesMax)
          expect(cache.bytes).toBe([...resident].reduce((sum, held) => sum + (sizes[held]?.bytes ?? 0), 0))
        }
      }),
    )
  })

  test('never beats the optimum, and is wrong at most once per request', () => {
    fc.assert(
      fc.property(anyPolicy, anyTrace, anyCapacity, fc.func(fc.boolean()), (name, trace, capacity, guess) => {
        const bits = trace.map((_, i) => guess(i))
        const misses = missesOf(trace, capacity, createCachePolicy(name, seeded(7)), bits)
        expect(misses).toBeGreaterThanOrEqual(offlineOptimum(trace, capacity).misses)
        expect(misses).toBeLessThanOrEqual(trace.length)
      }),
    )
  })
})

describe('looking ahead', () => {
  test('hits at least as often as LRU at every capacity, where all of the future is known', () => {
    fc.assert(
      fc.property(anyTrace, anyCapacity, (trace, capacity) => {
        const ahead = missesOf(trace, capacity, lookAhead({ lookAheadMax: trace.length }))
        expect(ahead).toBe(offlineOptimum(trace, capacity).misses)
        expect(ahead).toBeLessThanOrEqual(missesOf(trace, capacity, leastRecent()))
      }),
    )
  })

  test('is LRU where nothing is known', () => {
    fc.assert(
      fc.property(anyTrace, anyCapacity, (trace, capacity) => {
        const blind = missesOf(trace, capacity, lookAhead({ lookAheadMax: 0 }))
        expect(blind).toBe(missesOf(trace, capacity, leastRecent()))
      }),
    )
  })

  test('reads no more of the queue than it was allowed, and stops when it knows of everybody', () => {
    let read = 0
    const endless = function* () {
      for (;;) {
        read += 1
        yield read % 2 === 0 ? 'a' : 'z'
      }
    }
    const policy = lookAhead<string>({ lookAheadMax: 50 })
    policy.choose([item('a'), item('b')], { bytes: 1, upcoming: endless() })
    expect(read).toBe(50)
    read = 0
    policy.choose([item('a'), item('z')], { bytes: 1, upcoming: endless() })
    expect(read).toBe(2)
  })

  test('of two that are needed alike, lets the one go that takes more room for less', () => {
    const policy = lookAhead<string>({ lookAheadMax: 10 })
    const upcoming = ['x', 'small', 'large']
    expect(policy.choose([item('small', 1, 4), item('large', 4, 4)], { bytes: 1, upcoming })).toEqual(['large'])
    expect(policy.choose([item('small', 1, 1), item('large', 4, 40)], { bytes: 1, upcoming })).toEqual(['small'])
  })
})

describe('least recently used', () => {
  test('weighs what it costs to come back, and lets the dear ones fade as well', () => {
    const cache = new PolicyCache({ bytesMax: 2, policy: leastRecent<string>() })
    cache.use(item('dear', 1, 3))
    const evicted: unknown[] = []
    for (const key of ['a', 'b', 'c', 'd', 'e']) evicted.push(cache.use(item(key, 1, 1)))
    expect(evicted).toEqual([
      { kind: 'miss', evicted: [] },
      { kind: 'miss', evicted: ['a'] },
      { kind: 'miss', evicted: ['b'] },
      // Three evictions of items worth one each, and what was worth three is the oldest of its equals.
      { kind: 'miss', evicted: ['dear'] },
      { kind: 'miss', evicted: ['c'] },
    ])
  })

  test('is plain LRU whatever the sizes, where all cost the same per byte', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 50 }), (trace) => {
        const cache = new PolicyCache<number>({ bytesMax: 12, policy: leastRecent() })
        for (const key of trace) {
          const before = cache.items()
          const used = cache.use({ key, bytes: key + 1, cost: 10 * (key + 1) })
          if (used.kind === 'miss')
            expect(used.evicted).toEqual(before.slice(0, used.evicted.length).map((held) => held.key))
        }
      }),
    )
  })
})

describe('at random', () => {
  test('everybody goes alike often, by room and cost', () => {
    const policy = atRandom<string>(seeded(3))
    const counts = new Map<string, number>()
    for (let i = 0; i < 4_000; i++) {
      const [key = ''] = policy.choose([item('a'), item('b'), item('c', 2, 1)], { bytes: 1, upcoming: [] })
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    expect((counts.get('a') ?? 0) / 4_000).toBeCloseTo(0.25, 1)
    expect((counts.get('b') ?? 0) / 4_000).toBeCloseTo(0.25, 1)
    expect((counts.get('c') ?? 0) / 4_000).toBeCloseTo(0.5, 1)
  })
})

describe('the books', () => {
  test('what its owner removes is free at once', () => {
    const cache = new PolicyCache({ bytesMax: 2, policy: leastRecent<string>() })
    cache.use(item('a', 2))
    cache.remove('a')
    cache.remove('a')
    expect(cache.use(item('b', 2))).toEqual({ kind: 'miss', evicted: [] })
    expect(cache.has('a')).toBe(false)
    expect(cache.size).toBe(1)
  })

  test('what does not fit beside what is pinned changes nothing', () => {
    const cache = new PolicyCache({ bytesMax: 3, policy: leastRecent<string>() })
    for (const key of ['a', 'b', 'c']) cache.use(item(key))
    expect(cache.use(item('d', 2), { isPinned: (key) => key !== 'a' })).toEqual({ kind: 'no-room' })
    expect(cache.use(item('d', 4))).toEqual({ kind: 'no-room' })
    expect(cache.items().map(({ key }) => key)).toEqual(['a', 'b', 'c'])
  })
})
