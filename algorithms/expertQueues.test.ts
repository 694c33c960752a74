import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ExpertRequest, planExpertBatch, type QueueSnapshot } from './expertQueues.ts'
import { serve, type Traffic, turnMsOf } from './expertTraffic.fixture.ts'

const request = (id: string, changes: Partial<ExpertRequest<string, string>> = {}): ExpertRequest<string, string> => ({
  id,
  expert: id[0] ?? '',
  size: 1,
  priority: 0,
  tenantServed: 0,
  startBy: Number.POSITIVE_INFINITY,
  ...changes,
})
const plan = (line: readonly ExpertRequest<string, string>[], changes: Partial<QueueSnapshot<string, string>> = {}) => {
  const snapshot = { line, room: 6, expertsMax: 1, turnMs: 100, leadTokensMax: 1_000, resident: [], now: 0, ...changes }
  const { requests, experts, cause } = planExpertBatch(snapshot)
  return { ids: requests.map(({ id }) => id), experts, cause }
}
const line = (text: string) => text.split(' ').map((id) => request(id))

describe('the longest queue goes first', () => {
  test('with 5, 3 and 2 waiting and room for 6, 5 of one expert and 1 of the next leave', () => {
    const waiting = line('a1 b1 c1 a2 b2 c2 a3 b3 a4 a5')
    expect(plan(waiting, { expertsMax: Number.POSITIVE_INFINITY })).toEqual({
      ids: ['a1', 'a2', 'a3', 'a4', 'a5', 'b1'],
      experts: ['a', 'b'],
      cause: 'longest-queue',
    })
    expect(plan(waiting).experts).toEqual(['a'])
  })

  test('of two alike long, that of the expert used last, then the one in front', () => {
    expect(plan(line('a1 b1'), { resident: ['a', 'b'] }).ids).toEqual(['b1'])
    expect(plan(line('a1 b1'), { resident: ['a'] }).ids).toEqual(['a1'])
    expect(plan(line('b1 a1')).ids).toEqual(['b1'])
  })

  test('what is large does not starve behind what is small', () => {
    const waiting = [request('a1', { size: 4 }), request('a2', { size: 3 }), request('a3')]
    expect(plan(waiting).ids).toEqual(['a1'])
  })

  test('nothing comes of an empty line, and of no room', () => {
    expect(plan([]).cause).toBe('nothing-waits')
    expect(plan(line('a1 a2'), { room: 0 }).ids).toEqual([])
  })
})

describe('the age guard', () => {
  const due = (id: string, startBy: number) => request(id, { startBy })

  test('gives the turn to whoever could not wait for another one, with its whole queue', () => {
    const waiting = [due('b1', 99), ...line('a1 a2 a3'), request('b2')]
    expect(plan(waiting)).toEqual({ ids: ['b1', 'b2'], experts: ['b'], cause: 'age-guard' })
  })

  test('leaves the turn to the longest queue while all others can still start after it, one turn each', () => {
    const others = [due('b1', 100), due('c1', 200), due('d1', 300)]
    expect(plan([...line('a1 a2'), ...others]).cause).toBe('longest-queue')
    const tight = [due('b1', 100), due('c1', 200), due('d1', 299)]
    expect(plan([...line('a1 a2'), ...tight])).toMatchObject({ ids: ['b1'], cause: 'age-guard' })
  })

  test('counts a turn once for all of an expert that fit into it', () => {
    const waiting = [...line('a1 a2 a3 a4'), due('b1', 100), due('b2', 100), due('b3', 150)]
    expect(plan(waiting, { room: 3 }).cause).toBe('longest-queue')
    expect(plan([...waiting, due('b4', 150)], { room: 3 }).cause).toBe('age-guard')
  })

  test('lets what is over its age leave in the order of arrival', () => {
    const waiting = [due('a2', 20), due('c1', 30), due('b1', 10), due('a1', 5), ...line('d1 d2 d3')]
    const left: string[] = []
    for (let i = 0; i < 2; i++) {
      const rest = waiting.filter(({ id }) => !left.includes(id))
      const batch = plan(rest, { expertsMax: Number.POSITIVE_INFINITY, room: 2, now: 50 })
      expect(batch.cause).toBe('age-guard')
      left.push(...batch.ids)
    }
    expect(left).toEqual(['a1', 'b1', 'a2', 'c1'])
  })
})

describe('tenants', () => {
  test('a flood for one expert leads by so many tokens and no more', () => {
    const flood = Array.from({ length: 10 }, (_, i) => request(`a${i}`, { tenantServed: 100 * i }))
    const waiting = [request('b1', { tenantServed: 50 }), ...flood]
    expect(plan(waiting, { leadTokensMax: 300 }).ids).toEqual(['a0', 'a1', 'a2', 'a3'])
    // Once served, the flood's next requests stand behind.
    const later = [request('b1', { tenantServed: 50 }), ...flood.slice(4)]
    expect(plan(later, { leadTokensMax: 300 }).ids).toEqual(['b1'])
  })

  test('a higher priority goes first, whatever the queues', () => {
    expect(plan([...line('a1 a2'), request('b1', { priority: 1 })]).ids).toEqual(['b1'])
  })
})

describe('any line', () => {
  const anyRequest = fc.record({
    expert: fc.constantFrom<string[]>('a', 'b', 'c', 'd'),
    size: fc.integer({ min: 1, max: 3 }),
    priority: fc.integer({ min: 0, max: 1 }),
    tenantServed: fc.integer({ min: 0, max: 500 }),
    startBy: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 0, max: 1_000 })),
  })
  const anyLine = fc
    .array(anyRequest, { minLength: 1, maxLength: 30 })
    .map((list) => list.map((each, i) => ({ ...each, id: i })))
  const anyEngine = fc.record({ room: fc.integer({ min: 3, max: 10 }), expertsMax: fc.integer({ min: 1, max: 4 }) })

  test('gives a batch that fits, of as many experts as allowed, of requests that wait, each once, and never none', () => {
    fc.assert(
      fc.property(anyLine, anyEngine, (waiting, { room, expertsMax }) => {
        const snapshot = { line: waiting, room, expertsMax, turnMs: 100, leadTokensMax: 200, resident: ['b'], now: 400 }
        const { requests, experts } = planExpertBatch(snapshot)
        expect(requests.length).toBeGreaterThan(0)
        expect(new Set(requests).size).toBe(requests.length)
        expect(requests.every((each) => waiting.includes(each))).toBe(true)
        expect(requests.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(room)
        expect(new Set(requests.map(({ expert }) => expert))).toEqual(new Set(experts))
        expect(experts.length).toBeLessThanOrEqual(expertsMax)
      }),
    )
  })

  test('has whoever is due first in the batch, where the longest queue would make anybody late', () => {
    fc.assert(
      fc.property(anyLine, anyEngine, (waiting, { room, expertsMax }) => {
        const snapshot = { line: waiting, room, expertsMax, turnMs: 100, leadTokensMax: 200, resident: [], now: 0 }
        const { requests, cause } = planExpertBatch(snapshot)
        const late = waiting.filter((each) => !requests.includes(each) && each.startBy < 100)
        if (late.length === 0) return
        expect(cause).toBe('age-guard')
        const first = Math.min(...waiting.map(({ startBy }) => startBy))
        expect(requests.some(({ startBy }) => startBy === first)).toBe(true)
      }),
    )
  })
})

describe('skewed traffic of 8 experts with room for 3', () => {
  const traffic: Traffic = { seed: 1, requests: 3_000, experts: 8, resident: 3, slots: 8, load: 0.5, guardMs: 20_000 }
  const seeds = [1, 2, 3, 4, 5]

  test('costs at most 0.7 of the switches and loads of first come, first served', () => {
    for (const seed of seeds) {
      const first = serve({ ...traffic, seed }, { planned: false })
      const planned = serve({ ...traffic, seed }, { planned: true })
      expect(planned.served).toBe(traffic.requests)
      expect(planned.switchesPer1000Tokens / first.switchesPer1000Tokens).toBeLessThanOrEqual(0.7)
      expect(planned.loads / first.loads).toBeLessThanOrEqual(0.7)
    }
  })

  test('keeps nobody waiting beyond the guard', () => {
    for (const seed of seeds) {
      const guardMs = 12 * turnMsOf(traffic)
      const { waitMsMax } = serve({ ...traffic, seed, guardMs }, { planned: true })
      expect(waitMsMax).toBeLessThanOrEqual(guardMs)
    }
  })
})
