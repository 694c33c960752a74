import { beforeEach, expect, test } from 'vitest'
import { DeploymentName, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { subjects } from '#contracts/subjects.ts'
import type { Bus } from '#runtime/bus.ts'
import { silentLog } from '#runtime/log.ts'
import { encode } from '#runtime/messages.ts'
import { createFakeNetwork, type FakeNetwork } from '#test/simulate/fakeBus.ts'
import { createFakeClock, type FakeClock } from '#test/simulate/fakeClock.ts'
import { createRandom } from '#test/simulate/random.ts'
import { registrationOf, reportOf } from './core/testing.ts'
import { Reports } from './reports.ts'

const deployment = DeploymentName.parse('smol')
const worker = WorkerId.parse('w')
let clock: FakeClock
let network: FakeNetwork
let reports: Reports
let peer: Bus
const changes: string[] = []
const holds: string[] = []

beforeEach(async () => {
  clock = createFakeClock()
  network = createFakeNetwork({ clock, random: createRandom(1) })
  changes.length = 0
  holds.length = 0
  reports = new Reports({
    clock,
    log: silentLog,
    onChange: (name) => changes.push(name),
    onHeld: (name) => holds.push(name),
  })
  const attached = reports.attach(network.connect('operator'))
  await clock.advance(10)
  await attached
  peer = network.connect('worker')
  await clock.advance(10)
})

async function say(state: 'loading' | 'ready' | 'draining', number: number): Promise<void> {
  peer.publish(subjects.report(deployment, worker), encode({ ...reportOf('w', 'r1', state), number }))
  await clock.advance(10)
}

test('only a change of state is announced; the rest passes in silence', async () => {
  await say('loading', 0)
  await say('loading', 1)
  await say('ready', 2)
  await say('ready', 3)
  expect(changes).toEqual(['smol', 'smol'])
  expect(reports.of(worker)?.report.number).toBe(3)
})

test('a report that was overtaken by a newer one is dropped', async () => {
  await say('ready', 5)
  await say('loading', 4)
  expect(reports.of(worker)?.report.state).toBe('ready')
})

test('since when a worker is ready is counted from its first ready report, and anew after a pause', async () => {
  await say('ready', 0)
  const since = reports.of(worker)?.readySince
  await clock.advance(500)
  await say('ready', 1)
  expect(reports.of(worker)?.readySince).toBe(since)
  await say('draining', 2)
  expect(reports.of(worker)?.readySince).toBeNull()
})

test('a registration is announced when it says something new, not at each refresh', async () => {
  const put = async (slots: number) => {
    network.buckets.put('workers', 'w', encode(registrationOf('w', 'r1', { slots })))
    await clock.advance(10)
  }
  await put(8)
  await put(8)
  await put(4)
  expect(changes).toHaveLength(2)
  expect(reports.registrationOf(worker)?.slots).toBe(4)
  await clock.advance(limits.worker.registrationTtlMs + 100)
  expect(reports.registrationOf(worker)).toBeNull()
})

test('what is not understood is ignored', async () => {
  peer.publish(subjects.report(deployment, worker), encode({ nonsense: true }))
  await clock.advance(10)
  expect(reports.of(worker)).toBeNull()
})

test('demand is added up over the routers that have been heard lately', async () => {
  const report = (router: string, fields: object) => {
    const demand = { deployment, queued: 0, running: 0, queueWaitMs: 0, sloGoodput: 0, ...fields }
    peer.publish(`${subjects.allRouterReports.slice(0, -1)}${router}`, encode({ router, deployments: [demand] }))
  }
  expect(reports.demandOf(deployment, [{ worker }])).toMatchObject({ freshness: 'stale', samples: [] })
  report('a', { queued: 2, running: 1, offered: 3, met: 2, queueWaits: [3] })
  report('b', { running: 4, offered: 1, met: 1, queueWaits: [0, 1] })
  await say('ready', 0)
  expect(reports.demandOf(deployment, [{ worker }])).toMatchObject({
    freshness: 'fresh',
    waiting: 2,
    running: 5,
    slotsBusy: 0,
  })
  expect(reports.demandOf(deployment, [{ worker }]).samples).toMatchObject([{ offered: 4, met: 3, waits: [3, 1] }])
  await clock.advance(limits.worker.goneAfterMs + 10)
  report('b', { running: 4 })
  await clock.advance(10)
  expect(reports.demandOf(deployment, [{ worker }])).toMatchObject({ freshness: 'partial', waiting: 0, running: 4 })
  reports.forget(deployment)
  expect(reports.demandOf(deployment, [{ worker }]).samples).toEqual([])
})

test('a held request is announced with every report that names one', async () => {
  const demand = { deployment, queued: 1, held: 1, running: 0, queueWaitMs: 0, sloGoodput: 0 }
  peer.publish(`${subjects.allRouterReports.slice(0, -1)}a`, encode({ router: 'a', deployments: [demand] }))
  await clock.advance(10)
  expect(holds).toEqual([deployment])
})

test('silence is counted only since the bus has been connected', async () => {
  const before = reports.busConnectedSince
  network.disconnect('operator', 1_000)
  await clock.advance(100)
  expect(reports.busConnectedSince).toBeNull()
  await clock.advance(2_000)
  expect(reports.busConnectedSince).toBeGreaterThan(before ?? 0)
})
