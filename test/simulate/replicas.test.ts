/**
 * Router replicas share nothing but NATS: tenants still get capacity by their weights, over all routers together, however a load balancer
 * spreads their connections.
 */
import { describe, expect, test } from 'vitest'
import type { Work } from '#contracts/messages.ts'
import { afterEscalation, afterRequest, mayEscalate, newBudget } from '../../router/core/cascade.ts'
import { createRandom } from './random.ts'
import { RoutingWorld, type Served } from './routingWorld.ts'
import type { TraceRequest } from './routingTrace.ts'

const cluster = { workers: 3, slots: 4, contextTokensMax: 1_024 }
const curve = { rows: [1, 4], contexts: [0], ms: [[10, 16]], promptTokensPerSecond: 4_000, origin: 'measured' as const }
const promptTokens = 40
const answerTokens = 20

interface Tenant {
  readonly tenant: string
  readonly weight: number
  readonly routers: readonly number[]
}

/** Each tenant asks for more than all workers can do, from the beginning to the end. */
function flood(
  tenants: readonly Tenant[],
  options: { seconds: number; perSecond: number },
): (TraceRequest & { tenant: string; weight: number; router: number })[] {
  const requests = tenants.flatMap(({ tenant, weight, routers }, number) =>
    Array.from({ length: options.seconds * options.perSecond }, (_, i) => {
      const content = ` w${number}x${i} `.padEnd(4 * promptTokens, 'the of ')
      const work: Work = { kind: 'chat', messages: [{ role: 'user', content }] }
      const router = routers[i % routers.length] ?? 0
      return { atMs: (1_000 * i) / options.perSecond, work, answerTokens, session: null, tenant, weight, router }
    }),
  )
  return requests.sort((a, b) => a.atMs - b.atMs)
}

const tokensUntil = (served: readonly Served[], tenant: string, at: number) =>
  served
    .filter((each) => each.tenant === tenant && each.endedAt !== null && each.endedAt <= at)
    .reduce(
      (sum, { outcome }) =>
        sum + (outcome?.kind === 'completed' ? outcome.usage.promptTokens + outcome.usage.completionTokens : 0),
      0,
    )

/** What each tenant got while all of them waited, as a share of all. */
async function sharesOf(tenants: readonly Tenant[], routers: number): Promise<number[]> {
  const world = await RoutingWorld.start({ ...cluster, curve, routers, random: createRandom(11) })
  const start = world.clock.now()
  const served = await world.run(flood(tenants, { seconds: 6, perSecond: 30 }))
  const counted = tenants.map(
    ({ tenant }) => tokensUntil(served, tenant, start + 6_000) - tokensUntil(served, tenant, start + 1_500),
  )
  const total = counted.reduce((sum, n) => sum + n, 0)
  return counted.map((n) => n / total)
}

describe('capacity by weight', () => {
  const even = [0, 1]
  test.each([
    [
      'one router',
      1,
      [
        { tenant: 'alpha', weight: 1, routers: [0] },
        { tenant: 'beta', weight: 3, routers: [0] },
      ],
    ],
    [
      'two, each tenant at both',
      2,
      [
        { tenant: 'alpha', weight: 1, routers: even },
        { tenant: 'beta', weight: 3, routers: even },
      ],
    ],
    [
      'two, each tenant at one of them',
      2,
      [
        { tenant: 'alpha', weight: 1, routers: [0] },
        { tenant: 'beta', weight: 3, routers: [1] },
      ],
    ],
    [
      'two, one tenant at both',
      2,
      [
        { tenant: 'alpha', weight: 1, routers: even },
        { tenant: 'beta', weight: 1, routers: [1] },
      ],
    ],
  ])('%s', async (_, routers, tenants) => {
    const shares = await sharesOf(tenants, routers)
    const weights = tenants.map(({ weight }) => weight)
    const all = weights.reduce((sum, weight) => sum + weight, 0)
    for (const [i, weight] of weights.entries())
      expect(Math.abs((shares[i] ?? 0) / (weight / all) - 1)).toBeLessThan(0.1)
  })
})

describe('a cascade’s budget', () => {
  test('holds over both routers within a tenth, however requests are spread', () => {
    const requests = 2_000
    const rateMax = 0.2
    for (const shareOfFirst of [0.5, 0.8, 1]) {
      const random = createRandom(5)
      const budgets = [newBudget(rateMax), newBudget(rateMax)]
      let escalated = 0
      for (let i = 0; i < requests; i++) {
        const at = random.chance(shareOfFirst) ? 0 : 1
        const budget = afterRequest(budgets[at] ?? newBudget(0))
        // Every answer is a bad one.
        const escalates = mayEscalate(budget)
        if (escalates) escalated += 1
        budgets[at] = escalates ? afterEscalation(budget) : budget
      }
      expect(Math.abs(escalated / (rateMax * requests) - 1)).toBeLessThan(0.1)
    }
  })
})
