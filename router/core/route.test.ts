import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DeploymentName, RouteName, TenantId } from '#contracts/ids.ts'
import type { RouteRecord } from '#contracts/records.ts'
import { type Candidate, decideRoute, namedDecision, shareOf, type Standing, targetsOf } from './route.ts'
import { type SessionSource, sessionKeyOf } from './sessionKey.ts'

const name = (text: string) => DeploymentName.parse(text)
const tenant = TenantId.parse('public')
const weighted = (weights: Readonly<Record<string, number>>, route = 'helper'): RouteRecord => ({
  route: RouteName.parse(route),
  name: 'assistant',
  created: 1,
  policy: {
    kind: 'weighted',
    targets: Object.entries(weights).map(([deployment, weight]) => ({ deployment: name(deployment), weight })),
  },
})
const direct: RouteRecord = { ...weighted({}), policy: { kind: 'direct', deployment: name('smol') } }

const standing = (record: RouteRecord, how: Readonly<Record<string, Standing>> = {}): Candidate[] =>
  targetsOf(record).map((target) => ({ ...target, standing: how[target.deployment] ?? 'ready' }))

function decide(
  record: RouteRecord,
  value: string,
  { how = {}, source = 'user' }: { how?: Readonly<Record<string, Standing>>; source?: SessionSource } = {},
) {
  return decideRoute(record, standing(record, how), { tenant, key: { source, value } })
}

/** How many of `count` sessions each deployment gets. */
function tally(record: RouteRecord, count: number, how: Readonly<Record<string, Standing>> = {}) {
  const got: Record<string, number> = {}
  for (let i = 0; i < count; i += 1) {
    const { deployment } = decide(record, `session-${i}`, { how })
    got[deployment ?? 'none'] = (got[deployment ?? 'none'] ?? 0) + 1
  }
  return got
}

describe('shares', () => {
  test('are kept: of 20,000 sessions a canary of 5% gets 5%, to four standard errors', () => {
    const count = 20_000
    const { canary = 0 } = tally(weighted({ stable: 95, canary: 5 }), count)
    expect(Math.abs(canary / count - 0.05)).toBeLessThan(4 * Math.sqrt((0.05 * 0.95) / count))
  })

  test('are kept among many, whatever the sum of the weights', () => {
    const count = 10_000
    const got = tally(weighted({ a: 1, b: 2, c: 3, d: 4 }), count)
    const shares = { a: 0.1, b: 0.2, c: 0.3, d: 0.4 }
    for (const [deployment, share] of Object.entries(shares))
      expect(Math.abs((got[deployment] ?? 0) / count - share)).toBeLessThan(
        4 * Math.sqrt((share * (1 - share)) / count),
      )
  })

  test('of 0 are nothing, even when nobody else can answer', () => {
    expect(tally(weighted({ a: 1, b: 0 }), 500)).toEqual({ a: 500 })
    expect(decide(weighted({ a: 1, b: 0 }), 'x', { how: { a: 'unready' } })).toMatchObject({
      deployment: 'a',
      cause: 'none-ready',
    })
  })

  test('of two routes are drawn apart: who is in the canary of one is not therefore in that of the other', () => {
    const one = weighted({ stable: 1, canary: 1 }, 'one')
    const two = weighted({ stable: 1, canary: 1 }, 'two')
    const both = Array.from({ length: 2_000 }, (_, i) => [
      decide(one, `s${i}`).deployment === 'canary',
      decide(two, `s${i}`).deployment === 'canary',
    ]).filter(([a, b]) => a === true && b === true).length
    expect(both / 2_000).toBeGreaterThan(0.2)
    expect(both / 2_000).toBeLessThan(0.3)
  })
})

describe('a session', () => {
  const weights = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer({ min: 1, max: 100 }), { minKeys: 2 })

  test('always goes to the same deployment, in whatever order the route names them', () => {
    fc.assert(
      fc.property(weights, fc.string(), (given, key) => {
        const reversed = Object.fromEntries(Object.entries(given).toReversed())
        expect(decide(weighted(reversed), key).deployment).toBe(decide(weighted(given), key).deployment)
      }),
    )
  })

  test('moves to a canary only when its share grows, and from it only when that shrinks', () => {
    fc.assert(
      fc.property(weights, fc.string(), fc.integer({ min: 1, max: 100 }), (given, key, more) => {
        const before = decide(weighted(given), key).deployment
        const after = decide(weighted({ ...given, a: (given['a'] ?? 0) + more }), key).deployment
        expect([before, 'a']).toContain(after)
      }),
    )
  })

  test('of a deployment that cannot answer goes to a stand-in and comes back; no other session notices', () => {
    fc.assert(
      fc.property(weights, fc.string(), fc.constantFrom('a', 'b', 'c', 'd'), (given, key, down) => {
        const before = decide(weighted(given), key)
        const during = decide(weighted(given), key, { how: { [down]: 'unready' } })
        if (before.deployment !== down) expect(during.deployment).toBe(before.deployment)
        else expect([during.cause, during.deployment === down]).toEqual(['stand-in', false])
      }),
    )
  })

  test('of one tenant says nothing of another tenant’s session with the same name', () => {
    const record = weighted({ a: 1, b: 1 })
    const of = (who: string, value: string) =>
      decideRoute(record, standing(record), { tenant: TenantId.parse(who), key: { source: 'user', value } }).deployment
    const differ = Array.from({ length: 200 }, (_, i) => of('one', `s${i}`) !== of('two', `s${i}`)).filter(Boolean)
    expect(differ.length).toBeGreaterThan(50)
  })
})

describe('a decision says', () => {
  const record = weighted({ a: 1, b: 1 })

  test('why: direct, session, share, stand-in, nobody ready, nobody there', () => {
    expect(decide(direct, 'x').cause).toBe('direct')
    expect(decide(record, 'x').cause).toBe('session')
    expect(decide(record, 'x', { source: 'request' })).toMatchObject({ cause: 'share', session: 'request' })
    const { deployment } = decide(record, 'x')
    expect(decide(record, 'x', { how: { [deployment ?? '']: 'unknown' } }).cause).toBe('stand-in')
    expect(decide(record, 'x', { how: { a: 'unready', b: 'unknown' } })).toMatchObject({
      deployment: 'a',
      cause: 'none-ready',
    })
    expect(decide(record, 'x', { how: { a: 'unknown', b: 'unknown' } })).toMatchObject({
      deployment: null,
      cause: 'none-exists',
    })
    expect(decide(direct, 'x', { how: { smol: 'unknown' } }).cause).toBe('none-exists')
    expect(namedDecision(name('a'))).toMatchObject({ route: null, cause: 'named', deployment: 'a' })
  })

  test('who was weighed, and with which share as they stand now', () => {
    const { candidates } = decide(weighted({ a: 3, b: 1, c: 4 }), 'x', { how: { c: 'unready' } })
    expect(candidates.map(({ deployment, share }) => [deployment, share])).toEqual([
      ['a', 0.75],
      ['b', 0.25],
      ['c', 0],
    ])
    expect(candidates.every(({ score }) => score > 0)).toBe(true)
    expect(shareOf(decide(direct, 'x'))).toBe(1)
    expect(shareOf(namedDecision(name('a')))).toBe(1)
  })

  test('a deployment that sleeps keeps its share: the request wakes it', () => {
    const how = { a: 'asleep', b: 'ready' } as const
    const woken = Array.from({ length: 50 }, (_, i) => decide(record, `s${i}`, { how }).deployment)
    expect(new Set(woken)).toEqual(new Set(['a', 'b']))
  })
})

test('the key of a session is the first of: session, user and tenant header, user, prompt_cache_key, the request itself', () => {
  const headers: Record<string, string> = { 'x-session-id': 's', 'x-user-id': 'u', 'x-tenant-id': 't' }
  const body = { user: 'body-user', prompt_cache_key: 'cache' }
  const order: string[] = []
  const given = { headers: { ...headers }, body: { ...body } as { user?: string; prompt_cache_key?: string } }
  for (let i = 0; i < 6; i += 1) {
    const key = sessionKeyOf({ header: (each) => given.headers[each], body: given.body, requestId: 'r1' })
    order.push(`${key.source}=${key.value}`)
    // An empty value is none.
    if (key.source in given.headers) given.headers[key.source] = ''
    else if (key.source === 'user') given.body.user = ''
    else delete given.body.prompt_cache_key
  }
  expect(order).toEqual([
    'x-session-id=s',
    'x-user-id=u',
    'x-tenant-id=t',
    'user=body-user',
    'prompt_cache_key=cache',
    'request=r1',
  ])
})
