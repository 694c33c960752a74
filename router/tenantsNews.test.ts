import { describe, expect, test, vi } from 'vitest'
import { DeploymentName, RouterId, TenantId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { TenantsNews } from '#contracts/messages.ts'
import { silentLog } from '#runtime/log.ts'
import { createFakeNetwork } from '#test/simulate/fakeBus.ts'
import { createFakeClock } from '#test/simulate/fakeClock.ts'
import { createRandom } from '#test/simulate/random.ts'
import { FairQueue, type Waiting } from './core/admit.ts'
import { TenantsExchange } from './tenantsNews.ts'

const deployment = DeploymentName.parse('smol')
const alpha = TenantId.parse('alpha')
const beta = TenantId.parse('beta')
const { leadTokensMax, tenantsNewsMs, tenantsNewsAgeMsMax } = limits.queue

function stand() {
  const clock = createFakeClock()
  const network = createFakeNetwork({ clock, random: createRandom(1) })
  const router = (name: string) => {
    const queue = new FairQueue<Waiting>({ requestsMax: 100, bytesMax: 1e9 })
    const served: boolean[] = []
    const exchange = new TenantsExchange({
      router: RouterId.parse(name),
      bus: network.connect(name),
      clock: clock.process(name),
      log: silentLog,
      queues: () => [[deployment, queue]],
      changed: (_, wasServed) => served.push(wasServed),
    })
    exchange.start()
    return { queue, served, exchange }
  }
  return { clock, network, one: router('router-1'), two: router('router-2') }
}
const waiting = (tenant: TenantId, weight = 1): Waiting => ({ tenant, weight, priority: 0, bytes: 1, expiresAt: 1e9 })

describe('routers tell each other', () => {
  test('nothing while nobody waits', async () => {
    const { clock, network } = stand()
    await clock.advance(2_000)
    expect(network.counts.published).toBe(0)
  })

  test('who waits, and what they served: each lets go first who is behind', async () => {
    const { clock, one, two } = stand()
    one.queue.offer(waiting(alpha))
    two.queue.offer(waiting(beta))
    await clock.advance(3 * tenantsNewsMs)
    one.queue.charge(alpha, leadTokensMax + 10)
    expect([one.queue.yields, two.queue.yields]).toEqual([true, false])
    two.queue.offer(waiting(beta))
    two.queue.take()
    two.queue.charge(beta, 2 * leadTokensMax + 30)
    await clock.advance(2 * tenantsNewsMs)
    expect([one.queue.yields, two.queue.yields]).toEqual([false, true])
    expect(one.served).toContain(true)
  })

  test('tokens of what was sent before do not say that anybody is sent', async () => {
    const { clock, one, two } = stand()
    one.queue.offer(waiting(alpha))
    two.queue.offer(waiting(beta))
    await clock.advance(3 * tenantsNewsMs)
    one.queue.charge(alpha, leadTokensMax + 10)
    for (let i = 0; i < 10; i++) {
      two.queue.charge(beta, 1)
      await clock.advance(tenantsNewsMs)
    }
    expect(one.served).not.toContain(true)
  })

  test('tokens of an estimate that was too high are charged once', async () => {
    const { clock, one, two } = stand()
    one.queue.offer(waiting(alpha))
    two.queue.offer(waiting(beta))
    const charge = vi.spyOn(one.queue, 'chargeElsewhere')
    const charged = () => charge.mock.calls.reduce((sum, [, tokens]) => sum + tokens, 0)
    two.queue.charge(beta, 1)
    await clock.advance(3 * tenantsNewsMs)
    for (const tokens of [1_000, -400, 500]) {
      two.queue.charge(beta, tokens)
      await clock.advance(2 * tenantsNewsMs)
    }
    expect(charged()).toBe(1_100)
    // It was started again: what it counts from now on is new.
    two.queue.charge(beta, -1_100)
    await clock.advance(2 * tenantsNewsMs)
    two.queue.charge(beta, 10)
    await clock.advance(2 * tenantsNewsMs)
    expect(charged()).toBe(1_110)
  })

  test('a message that is lost is made good by the next', async () => {
    const { clock, network, one, two } = stand()
    one.queue.offer(waiting(alpha))
    two.queue.offer(waiting(beta))
    await clock.advance(3 * tenantsNewsMs)
    network.lose(() => true)
    one.queue.charge(alpha, 4 * leadTokensMax)
    two.queue.charge(beta, 4 * leadTokensMax)
    await clock.advance(2 * tenantsNewsMs)
    expect(one.queue.yields).toBe(true)
    network.lose(() => false)
    await clock.advance(2 * tenantsNewsMs)
    expect([one.queue.yields, two.queue.yields]).toEqual([false, false])
  })

  test('that nobody waits any more, and then are silent', async () => {
    const { clock, network, one, two } = stand()
    const last = waiting(beta)
    one.queue.offer(waiting(alpha))
    two.queue.offer(last)
    await clock.advance(3 * tenantsNewsMs)
    one.queue.charge(alpha, leadTokensMax + 10)
    two.queue.remove(last)
    await clock.advance(2 * tenantsNewsMs)
    expect(one.queue.yields).toBe(false)
    one.queue.removeWhere(() => true)
    await clock.advance(1_000)
    const { published } = network.counts
    await clock.advance(1_000)
    expect(network.counts.published).toBe(published)
  })

  test('and forget who fell silent', async () => {
    const { clock, network, one, two } = stand()
    one.queue.offer(waiting(alpha))
    two.queue.offer(waiting(beta))
    await clock.advance(3 * tenantsNewsMs)
    one.queue.charge(alpha, leadTokensMax + 10)
    network.kill('router-2')
    await clock.advance(tenantsNewsAgeMsMax + 2 * tenantsNewsMs)
    expect(one.queue.yields).toBe(false)
  })
})

test('news of a router that does not tell what it took is understood', () => {
  const tenants = [{ tenant: 'alpha', weight: 1, priority: null, served: 3 }]
  const news = TenantsNews.parse({ router: 'router-1', deployments: [{ deployment: 'smol', tenants }] })
  expect(news.deployments[0]?.tenants).toMatchObject([{ served: 3, taken: 0 }])
})
