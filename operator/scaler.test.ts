import { beforeEach, expect, test } from 'vitest'
import { DeploymentName, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { subjects } from '#contracts/subjects.ts'
import type { Bus } from '#runtime/bus.ts'
import { silentLog } from '#runtime/log.ts'
import { encode } from '#runtime/messages.ts'
import { createFakeNetwork } from '#test/simulate/fakeBus.ts'
import { createFakeClock, type FakeClock } from '#test/simulate/fakeClock.ts'
import { createRandom } from '#test/simulate/random.ts'
import { desiredFor, reportOf, specOf } from './core/testing.ts'
import type { Platform, PlatformView } from './platform.ts'
import { Reports } from './reports.ts'
import { Scaler } from './scaler.ts'

const smol = DeploymentName.parse('smol')
let clock: FakeClock
let reports: Reports
let scaler: Scaler
let peer: Bus
let view: PlatformView
const changes: string[] = []

const scaled = (scaling: object) => desiredFor(specOf({ simulated: true, scaling }))
const wanted = () => scaler.wanted(smol, view)

beforeEach(async () => {
  clock = createFakeClock()
  const network = createFakeNetwork({ clock, random: createRandom(1) })
  changes.length = 0
  view = {
    desired: scaled({ minReplicas: 0, maxReplicas: 3, idleSeconds: 60 }),
    workers: [],
    crashes: null,
    restarts: 0,
    status: null,
    history: [],
    problems: [],
  }
  reports = new Reports({ clock, log: silentLog, onChange: () => undefined, onHeld: (name) => scaler.look(name) })
  const platform = { view: () => view } as Partial<Platform> as Platform
  scaler = new Scaler({ platform, reports, clock, log: silentLog, onChange: (name) => changes.push(name) })
  const attached = reports.attach(network.connect('operator'))
  await clock.advance(10)
  await attached
  peer = network.connect('peer')
  await clock.advance(10)
  scaler.start()
})

async function demand(fields: object): Promise<void> {
  const entry = { deployment: smol, queued: 0, running: 0, queueWaitMs: 0, sloGoodput: 0, ...fields }
  peer.publish(`${subjects.allRouterReports.slice(0, -1)}a`, encode({ router: 'a', deployments: [entry] }))
  await clock.advance(10)
}

/** One worker runs and reports. */
async function workerUp(): Promise<void> {
  const worker = WorkerId.parse('w')
  view = {
    ...view,
    workers: [{ worker, revision: view.desired?.revision ?? ('' as never), startedAt: 0, drainAskedAt: null, pid: 1 }],
  }
  peer.publish(subjects.report(smol, worker), encode(reportOf('w', view.desired?.revision ?? 'x', 'ready')))
  await clock.advance(10)
}

test('a fixed number stays as it is, and nobody looks at it', async () => {
  view = { ...view, desired: desiredFor(specOf({ replicas: 2 })) }
  expect(wanted()).toEqual({ replicas: 2, scaling: null })
  await clock.advance(5_000)
  expect(changes).toEqual([])
})

test('a held request changes the number within the message’s own time', async () => {
  expect(wanted()).toMatchObject({ replicas: 0 })
  await demand({ queued: 1, held: 1 })
  expect(changes).toEqual([smol])
  expect(wanted()).toMatchObject({
    replicas: 1,
    scaling: { reason: 'WithinBounds', message: 'the load decides; 1 wanted' },
  })
})

test('idle for long enough, the last worker goes; what is said changes with the decision only', async () => {
  wanted()
  await demand({ queued: 1, held: 1 })
  await workerUp()
  for (let second = 0; second < 30; second++) {
    await demand({ running: second % 3 })
    await clock.advance(990)
  }
  expect(changes).toEqual([smol])
  for (let second = 0; second < 70; second++) {
    await demand({})
    await clock.advance(990)
  }
  expect(wanted()).toMatchObject({ replicas: 0, scaling: { reason: 'Asleep' } })
  expect(changes).toEqual([smol, smol])
})

test('without any router the number is kept, and the condition says so', async () => {
  await workerUp()
  expect(wanted()).toMatchObject({ replicas: 1, scaling: { reason: 'StaleMetrics', holds: true } })
  await demand({ running: 1 })
  await clock.advance(limits.operator.scaleIntervalMs)
  expect(wanted()).toMatchObject({ replicas: 1, scaling: { reason: 'WithinBounds', holds: false } })
  await clock.advance(limits.operator.routerForgottenMs + 10_000)
  expect(wanted()).toMatchObject({ replicas: 1, scaling: { reason: 'StaleMetrics', holds: true } })
})

test('bounds that are edited hold with the next plan', () => {
  expect(wanted().replicas).toBe(0)
  view = { ...view, desired: scaled({ minReplicas: 2, maxReplicas: 3 }) }
  expect(wanted().replicas).toBe(2)
})

test('an advisory begins awake', () => {
  view = { ...view, desired: scaled({ minReplicas: 0, maxReplicas: 3, mode: 'advisory' }) }
  expect(wanted().replicas).toBe(1)
})
