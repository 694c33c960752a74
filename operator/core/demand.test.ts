import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DeploymentName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { addCounts, type DeploymentDemand, demandOf, goodputOf, type HeardRouter } from './demand.ts'
import type { DemandSample } from './observed.ts'

const smol = DeploymentName.parse('smol')
const said = (fields: Partial<DeploymentDemand> = {}): DeploymentDemand => ({
  deployment: smol,
  queued: 0,
  held: 0,
  running: 0,
  queueWaitMs: 0,
  queueWaits: [],
  sloGoodput: 0,
  offered: 0,
  met: 0,
  ...fields,
})
const router = (heardAt: number, ...demands: DeploymentDemand[]): HeardRouter => ({
  heardAt,
  deployments: new Map(demands.map((demand) => [demand.deployment, demand])),
})
const fold = (routers: readonly HeardRouter[], now: number) =>
  demandOf(smol, { routers, samples: [], slotsBusy: 0 }, now)

test('what several routers have is added up; one that does not name the deployment has nothing for it', () => {
  const routers = [
    router(0, said({ queued: 3, held: 1, running: 2 })),
    router(0, said({ queued: 1, running: 4 })),
    router(0),
  ]
  expect(fold(routers, 500)).toMatchObject({ freshness: 'fresh', waiting: 4, held: 1, running: 6 })
})

test('a router that falls silent leaves the picture incomplete for a while, and without any it is stale', () => {
  const { goneAfterMs } = limits.worker
  const { routerForgottenMs } = limits.operator
  const routers = (now: number) => [router(0, said({ running: 5 })), router(now, said({ running: 1 }))]
  expect(fold(routers(goneAfterMs - 1), goneAfterMs - 1)).toMatchObject({ freshness: 'fresh', running: 6 })
  expect(fold(routers(goneAfterMs), goneAfterMs)).toMatchObject({ freshness: 'partial', running: 1 })
  expect(fold(routers(routerForgottenMs), routerForgottenMs)).toMatchObject({ freshness: 'fresh', running: 1 })
  expect(fold([router(0)], goneAfterMs).freshness).toBe('stale')
  expect(fold([], 0).freshness).toBe('stale')
})

test('counts are gathered into samples that lose nothing and stay bounded', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ ms: fc.integer({ min: 1, max: 20_000 }), offered: fc.nat(9) }), { maxLength: 200 }),
      (reports) => {
        let samples: readonly DemandSample[] = []
        let now = 0
        for (const { ms, offered } of reports) {
          now += ms
          samples = addCounts(samples, said({ offered, met: offered, queueWaits: [offered] }), { now, waiting: 0 })
        }
        expect(samples.length).toBeLessThanOrEqual(limits.operator.demandSamplesMax)
        const total = reports.reduce((sum, { offered }) => sum + offered, 0)
        if (samples.length < limits.operator.demandSamplesMax) {
          expect(samples.reduce((sum, { met }) => sum + met, 0)).toBe(total)
          expect(samples.reduce((sum, { waits }) => sum + (waits[0] ?? 0), 0)).toBe(total)
        }
        const gaps = samples.slice(1).map(({ at }, i) => at - (samples[i]?.at ?? 0))
        expect(gaps.every((gap) => gap >= limits.operator.demandSampleMs)).toBe(true)
      },
    ),
  )
})

test('goodput is what met its SLO lately, and is not known where nobody speaks', () => {
  const samples = [10_000, 15_000].map((at) => ({ at, waiting: 0, offered: 20, met: 15, waits: [] }))
  const demand = demandOf(smol, { routers: [router(20_000)], samples, slotsBusy: 0 }, 20_000)
  expect(goodputOf(demand, 20_000)).toBe(3)
  expect(goodputOf({ ...demand, freshness: 'stale' }, 20_000)).toBeNull()
  expect(goodputOf(demand, 60_000)).toBe(0)
})
