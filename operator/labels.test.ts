import { isDeepStrictEqual } from 'node:util'
import { beforeEach, expect, test } from 'vitest'
import { calibrationDigest } from '#contracts/calibration.ts'
import { DeploymentName, RouteName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelRouteStatus } from '#contracts/resources/modelRoute.ts'
import { subjects } from '#contracts/subjects.ts'
import { silentLog } from '#runtime/log.ts'
import { encode } from '#runtime/messages.ts'
import { createFakeNetwork } from '#test/simulate/fakeBus.ts'
import { createFakeClock, type FakeClock } from '#test/simulate/fakeClock.ts'
import { createRandom } from '#test/simulate/random.ts'
import { calibration, cascadeSpec, referencesText, sourcesOf, textsWith } from './core/calibrations.fixture.ts'
import { readRoute, routeStatusOf } from './core/routeStatus.ts'
import { Labels } from './labels.ts'

const step = { deployment: 'smol', calibration }
const label = (correct: boolean, digest = calibrationDigest(calibration)) => ({
  route: RouteName.parse('helper'),
  deployment: DeploymentName.parse('smol'),
  calibration: digest,
  correct,
})

let clock: FakeClock
let labels: Labels
let told: string[]
beforeEach(() => {
  clock = createFakeClock()
  told = []
  labels = new Labels({ clock, log: silentLog, onLabel: () => undefined })
  labels.onChange = (route) => told.push(route)
})
const figures = () => labels.figuresOf('helper', step, null)
const toldLater = () => clock.advanceNow(limits.calibration.labelStatusMs)

test('labels count for the calibration that kept the answer, and for no other', () => {
  expect(figures()).toMatchObject({ labels: 0, wrong: 0, sum: 0, broken: false })
  labels.take(label(true))
  labels.take(label(false))
  labels.take(label(false, 'another'))
  toldLater()
  expect(figures()).toMatchObject({ labels: 2, wrong: 1, broken: false })
  const newer = { ...calibration, threshold: 0.5 }
  expect(labels.figuresOf('helper', { ...step, calibration: newer }, null)).toMatchObject({ labels: 0, sum: 0 })
})

test('many wrong answers break it, which is told at once and stays so', () => {
  figures()
  const before = told.length
  for (let i = 0; i < 40; i += 1) labels.take(label(false))
  expect(figures()).toMatchObject({ broken: true })
  expect(told.slice(before)).toEqual(['helper'])
  for (let i = 0; i < 1_000; i += 1) labels.take(label(true))
  expect(figures()).toMatchObject({ broken: true, sum: figures()?.limit })
})

test('what broke is broken for whoever leads next, even if it was stale or unreadable in between', () => {
  figures()
  for (let i = 0; i < 40; i += 1) labels.take(label(false))
  for (let i = 0; i < 40; i += 1) labels.take(label(true))
  const route = readRoute('helper', { generation: 1, created: 1 }, cascadeSpec)
  const judged = (texts: Readonly<Record<string, string>>, before: ModelRouteStatus | null) => {
    const sources = sourcesOf(texts, { labelsOf: () => figures() })
    const facts = { route, deployments: new Map(), conflict: null, sources }
    return routeStatusOf(facts, before, '2026-01-01T00:00:00Z')
  }
  const stale = judged({ ...textsWith(), 'references.jsonl': referencesText.replace('Rome', 'Lyon') }, null)
  expect(stale.calibrations).toMatchObject([{ state: 'Stale' }])
  const unreadable = judged({ ...textsWith(), 'cascade.json': '{' }, stale)
  expect(unreadable.calibrations).toMatchObject([{ state: 'NoCalibration' }])
  for (const status of [stale, unreadable]) {
    const next = new Labels({ clock, log: silentLog, onLabel: () => undefined })
    expect(next.figuresOf('helper', step, status)).toMatchObject({ broken: true })
  }
})

test('what is not urgent is told now and then', () => {
  figures()
  labels.take(label(true))
  expect(told).toEqual([])
  clock.advanceNow(limits.calibration.labelStatusMs)
  labels.take(label(true))
  labels.take(label(true))
  expect(told).toEqual(['helper'])
  expect(figures()).toMatchObject({ labels: 1 })
  toldLater()
  expect(told).toEqual(['helper', 'helper'])
  expect(figures()).toMatchObject({ labels: 3 })
  labels.take(label(true))
  labels.close()
  toldLater()
  expect(told).toHaveLength(2)
  expect(clock.pending).toBe(0)
})

test('labels that come while a status is written do not make it be written again and again', () => {
  const route = readRoute('helper', { generation: 1, created: 1 }, cascadeSpec)
  let status: ModelRouteStatus | null = null
  let writes = -1
  const judge = () => {
    const sources = sourcesOf(undefined, { labelsOf: () => labels.figuresOf('helper', step, status) })
    const facts = { route, deployments: new Map(), conflict: null, sources }
    const now = routeStatusOf(facts, status, '2026-01-01T00:00:00Z')
    if (isDeepStrictEqual(now, status)) return
    status = now
    writes += 1
  }
  labels.onChange = judge
  judge()
  for (let i = 0; i < 100; i += 1) {
    labels.take(label(true))
    // As when the write of the status comes back as a change.
    judge()
    clock.advanceNow(10)
  }
  toldLater()
  judge()
  expect(writes).toBe(1)
  expect(figures()).toMatchObject({ labels: 100 })
})

test('whoever leads next goes on from what the status says', () => {
  figures()
  for (let i = 0; i < 5; i += 1) labels.take(label(false))
  toldLater()
  const facts = {
    route: readRoute('helper', { generation: 1, created: 1 }, cascadeSpec),
    deployments: new Map(),
    conflict: null,
    sources: sourcesOf(undefined, { labelsOf: () => figures() }),
  }
  const status = routeStatusOf(facts, null, '2026-01-01T00:00:00Z')
  const next = new Labels({ clock, log: silentLog, onLabel: () => undefined })
  expect(next.figuresOf('helper', step, status)).toEqual(figures())
  // Of another calibration the status says nothing.
  expect(next.figuresOf('helper', { ...step, calibration: { ...calibration, threshold: 0 } }, status)).toMatchObject({
    labels: 0,
  })
})

test('a calibration without a threshold is not watched, and a route that is gone is forgotten', () => {
  expect(labels.figuresOf('helper', { ...step, calibration: { ...calibration, threshold: null } }, null)).toBeNull()
  figures()
  labels.take(label(false))
  labels.forget('helper')
  labels.take(label(false))
  expect(figures()).toMatchObject({ labels: 0 })
})

test('labels come from routers over the bus; what is not understood is passed over', async () => {
  const network = createFakeNetwork({ clock, random: createRandom(1) })
  labels.attach(network.connect('operator'))
  figures()
  const router = network.connect('router')
  await clock.advance(10)
  router.publish(subjects.routeLabel(RouteName.parse('helper')), encode({ nothing: true }))
  router.publish(subjects.routeLabel(RouteName.parse('helper')), encode(label(false)))
  await clock.advance(limits.calibration.labelStatusMs)
  expect(figures()).toMatchObject({ labels: 1, wrong: 1 })
})
