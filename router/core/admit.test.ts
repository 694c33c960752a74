import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TenantId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { FairQueue, type Waiting } from './admit.ts'

interface Item extends Waiting {
  readonly name: string
}

const item = (tenant: string, name: string, changes: Partial<Item> = {}): Item => ({
  tenant: TenantId.parse(tenant),
  name,
  weight: 1,
  priority: 0,
  bytes: 10,
  expiresAt: 1_000,
  ...changes,
})
const queueOf = (requestsMax = 100, bytesMax = 10_000) => new FairQueue<Item>({ requestsMax, bytesMax })
const takeAll = (queue: FairQueue<Item>) => {
  const names: string[] = []
  for (let next = queue.take(); next !== undefined; next = queue.take()) names.push(next.name)
  return names
}

describe('order', () => {
  test('one tenant is served in order of arrival', () => {
    const queue = queueOf()
    for (const name of ['a', 'b', 'c']) queue.offer(item('t', name))
    expect(takeAll(queue)).toEqual(['a', 'b', 'c'])
  })

  test('higher priority goes first, over all tenants', () => {
    const queue = queueOf()
    queue.offer(item('t', 'low'))
    queue.offer(item('u', 'high', { priority: 5 }))
    queue.offer(item('t', 'middle', { priority: 2 }))
    expect(takeAll(queue)).toEqual(['high', 'middle', 'low'])
  })

  test('the tenant that was served fewer tokens is next', () => {
    const queue = queueOf()
    for (const name of ['a1', 'a2']) queue.offer(item('a', name))
    for (const name of ['b1', 'b2']) queue.offer(item('b', name))
    expect(queue.take()?.name).toBe('a1')
    queue.charge(TenantId.parse('a'), 100)
    expect(queue.take()?.name).toBe('b1')
    queue.charge(TenantId.parse('b'), 150)
    expect(takeAll(queue)).toEqual(['a2', 'b2'])
  })

  test('a weight of two earns twice the tokens', () => {
    const queue = queueOf()
    const served = { a: 0, b: 0 }
    for (let i = 0; i < 60; i++) {
      queue.offer(item('a', 'a', { weight: 2 }))
      queue.offer(item('b', 'b'))
    }
    for (let i = 0; i < 60; i++) {
      const next = queue.take()
      if (next === undefined) break
      served[next.name === 'a' ? 'a' : 'b'] += 1
      queue.charge(next.tenant, 10)
    }
    expect(served).toEqual({ a: 40, b: 20 })
  })

  test('a tenant that was idle banks no credit', () => {
    const queue = queueOf()
    const busy = TenantId.parse('busy')
    for (let i = 0; i < 10; i++) queue.offer(item('busy', `busy${i}`))
    for (let i = 0; i < 5; i++) {
      queue.take()
      queue.charge(busy, 1_000)
    }
    for (let i = 0; i < 4; i++) queue.offer(item('late', `late${i}`))
    const order: string[] = []
    for (let i = 0; i < 4; i++) {
      const next = queue.take()
      order.push(next?.name.slice(0, 4) ?? '')
      queue.charge(next?.tenant ?? busy, 1_000)
    }
    expect(order.filter((name) => name === 'late').length).toBeLessThanOrEqual(2)
  })

  test('what is put back is next of its tenant', () => {
    const queue = queueOf()
    for (const name of ['a', 'b']) queue.offer(item('t', name))
    const first = queue.take()
    if (first !== undefined) queue.putBack(first)
    expect(takeAll(queue)).toEqual(['a', 'b'])
  })
})

describe('bounds', () => {
  test('an arrival over the bound of requests is refused', () => {
    const queue = queueOf(2)
    queue.offer(item('t', 'a'))
    queue.offer(item('t', 'b'))
    expect(queue.offer(item('t', 'c'))).toEqual({ kind: 'full', bound: 'requests' })
  })

  test('an arrival over the bound of bytes is refused', () => {
    const queue = queueOf(10, 25)
    queue.offer(item('t', 'a'))
    queue.offer(item('t', 'b'))
    expect(queue.offer(item('t', 'c'))).toEqual({ kind: 'full', bound: 'bytes' })
  })

  test('a full line gives a tenant with nothing in it the place of the newest request of the one with most', () => {
    const queue = queueOf(3)
    for (const name of ['a1', 'a2', 'a3']) queue.offer(item('a', name))
    const offered = queue.offer(item('b', 'b1'))
    expect(offered.kind === 'queued' ? offered.displaced.map((each) => each.name) : offered).toEqual(['a3'])
    expect(queue.length).toBe(3)
  })

  test('nobody of higher priority is displaced', () => {
    const queue = queueOf(1)
    queue.offer(item('a', 'a1', { priority: 1 }))
    expect(queue.offer(item('b', 'b1'))).toEqual({ kind: 'full', bound: 'requests' })
  })

  test('a waiting request expires once its deadline passes', () => {
    const queue = queueOf()
    queue.offer(item('t', 'a', { expiresAt: 1_000 }))
    queue.offer(item('t', 'b', { expiresAt: 2_000 }))
    expect(queue.expire(999)).toEqual([])
    expect(queue.expire(1_000).map((each) => each.name)).toEqual(['a'])
    expect(queue.length).toBe(1)
  })

  test('tenants beyond the bound are forgotten, least recently seen first', () => {
    const queue = new FairQueue<Item>({ requestsMax: 10, bytesMax: 1_000 }, 2)
    const serve = (tenant: string) => {
      queue.offer(item(tenant, tenant))
      queue.take()
      queue.charge(TenantId.parse(tenant), 500)
    }
    for (const tenant of ['a', 'b', 'c']) serve(tenant)
    queue.offer(item('b', 'b2'))
    queue.offer(item('a', 'a2'))
    expect(takeAll(queue)).toEqual(['b2', 'a2'])
  })
})

const operation = fc.oneof(
  fc.record({
    kind: fc.constant('offer' as const),
    tenant: fc.integer({ min: 0, max: 3 }),
    bytes: fc.integer({ min: 1, max: 40 }),
    priority: fc.integer({ min: 0, max: 1 }),
  }),
  fc.record({ kind: fc.constant('take' as const), tokens: fc.integer({ min: 1, max: 100 }) }),
  fc.record({ kind: fc.constant('remove' as const), index: fc.nat(20) }),
)

test('whatever happens, bounds hold, counts are exact, and nothing is lost or given twice', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
      const queue = queueOf(8, 120)
      const waiting = new Set<Item>()
      operations.forEach((each, i) => {
        if (each.kind === 'offer') {
          const added = item(`t${each.tenant}`, `n${i}`, { bytes: each.bytes, priority: each.priority })
          const offered = queue.offer(added)
          if (offered.kind === 'full') return
          waiting.add(added)
          for (const displaced of offered.displaced) expect(waiting.delete(displaced)).toBe(true)
        } else if (each.kind === 'take') {
          const taken = queue.take()
          if (taken === undefined) expect(waiting.size).toBe(0)
          else {
            expect(waiting.delete(taken)).toBe(true)
            queue.charge(taken.tenant, each.tokens)
          }
        } else {
          const victim = [...waiting][each.index]
          if (victim !== undefined) expect(queue.remove(victim)).toBe(waiting.delete(victim))
        }
        expect(queue.length).toBe(waiting.size)
        expect(queue.length).toBeLessThanOrEqual(8)
        expect(queue.bytes).toBe([...waiting].reduce((sum, one) => sum + one.bytes, 0))
        expect(queue.bytes).toBeLessThanOrEqual(120)
      })
    }),
  )
})

test('two tenants that always have work are served within one request of each other', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 20, maxLength: 200 }), (costs) => {
      const queue = queueOf(1_000, 100_000)
      for (let i = 0; i < costs.length; i++) {
        queue.offer(item('a', 'a'))
        queue.offer(item('b', 'b'))
      }
      const served: Record<string, number> = { a: 0, b: 0 }
      for (const cost of costs) {
        const next = queue.take()
        if (next === undefined) return
        served[next.name] = (served[next.name] ?? 0) + cost
        queue.charge(next.tenant, cost)
        expect(Math.abs((served['a'] ?? 0) - (served['b'] ?? 0))).toBeLessThanOrEqual(200)
      }
    }),
  )
})

describe('looking ahead', () => {
  const names = (queue: FairQueue<Item>, max = 100) =>
    queue.upcoming(max, () => 10).map(({ item: { name }, tenantServed }) => `${name}@${tenantServed}`)

  test('says the order in which all would be taken, and what each tenant will have been served', () => {
    const queue = queueOf()
    for (const name of ['a1', 'a2', 'a3']) queue.offer(item('a', name))
    queue.offer(item('b', 'b1', { weight: 2 }))
    queue.offer(item('b', 'b2', { weight: 2 }))
    queue.offer(item('c', 'c1', { priority: 1 }))
    expect(names(queue)).toEqual(['c1@0', 'a1@0', 'b1@0', 'b2@5', 'a2@10', 'a3@20'])
    expect(names(queue, 2)).toEqual(['c1@0', 'a1@0'])
    expect([...queue.items()]).toHaveLength(6)
    const taken: string[] = []
    for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
      queue.take()
      queue.charge(next.tenant, 10)
      taken.push(next.name)
    }
    expect(taken).toEqual(['c1', 'a1', 'b1', 'b2', 'a2', 'a3'])
  })

  test('lets one be taken out of turn, once', () => {
    const queue = queueOf()
    const [first, second] = [item('a', 'a1'), item('a', 'a2')]
    queue.offer(first)
    queue.offer(second)
    expect([queue.takeItem(second), queue.takeItem(second)]).toEqual([true, false])
    expect(takeAll(queue)).toEqual(['a1'])
    expect(queue.length).toBe(0)
  })
})

describe('tenants that wait at other routers', () => {
  const lead = limits.queue.leadTokensMax
  const beta = TenantId.parse('beta')

  test('let nobody here get further ahead than the lead', () => {
    const queue = queueOf()
    queue.offer(item('alpha', 'a1'))
    queue.setElsewhere([{ tenant: beta, weight: 1, priority: 0 }])
    expect(queue.yields).toBe(false)
    queue.charge(TenantId.parse('alpha'), lead + 1)
    expect(queue.yields).toBe(true)
    // Served there, it is no longer behind.
    queue.chargeElsewhere(beta, 2)
    expect(queue.yields).toBe(false)
  })

  test('count by their weight', () => {
    const queue = queueOf()
    queue.offer(item('alpha', 'a1'))
    queue.setElsewhere([{ tenant: beta, weight: 3, priority: 0 }])
    queue.charge(TenantId.parse('alpha'), 2 * lead)
    queue.chargeElsewhere(beta, 2 * lead)
    expect(queue.yields).toBe(true)
    queue.chargeElsewhere(beta, lead + 3)
    expect(queue.yields).toBe(false)
  })

  test('go first with a higher priority, and never with a lower one', () => {
    const queue = queueOf()
    queue.offer(item('alpha', 'a1', { priority: 1 }))
    queue.setElsewhere([{ tenant: beta, weight: 1, priority: 2 }])
    expect(queue.yields).toBe(true)
    queue.setElsewhere([{ tenant: beta, weight: 1, priority: 0 }])
    queue.charge(TenantId.parse('alpha'), 10 * lead)
    expect(queue.yields).toBe(false)
  })

  test('come without credit, and are nothing to themselves or once they wait no more', () => {
    const queue = queueOf()
    queue.offer(item('alpha', 'a1'))
    queue.charge(TenantId.parse('alpha'), 10 * lead)
    queue.setElsewhere([{ tenant: beta, weight: 1, priority: 0 }])
    expect(queue.yields).toBe(false)
    queue.setElsewhere([
      { tenant: beta, weight: 1, priority: 0 },
      { tenant: TenantId.parse('alpha'), weight: 1, priority: 5 },
    ])
    expect(queue.yields).toBe(false)
    queue.charge(TenantId.parse('alpha'), 10 * lead)
    expect(queue.yields).toBe(true)
    queue.setElsewhere([])
    expect(queue.yields).toBe(false)
  })

  test('what is told of tenants here is what this router served', () => {
    const queue = queueOf()
    queue.offer(item('alpha', 'a1', { priority: 2 }))
    queue.charge(TenantId.parse('alpha'), 7)
    queue.chargeElsewhere(TenantId.parse('alpha'), 100)
    queue.setElsewhere([{ tenant: beta, weight: 1, priority: 0 }])
    expect(queue.standings(10)).toEqual([{ tenant: 'alpha', weight: 1, priority: 2, served: 7, taken: 0 }])
    queue.take()
    expect(queue.standings(10)).toMatchObject([{ served: 7, taken: 1 }])
  })
})
