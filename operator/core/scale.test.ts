import { describe, expect, test } from 'vitest'
import { stepOf } from '#algorithms/waitHistogram.ts'
import { Scaling } from '#contracts/resources/modelDeployment.ts'
import type { Demand, DemandSample } from './observed.ts'
import { decideScale, firstState, type ScaleInput, type ScaleState } from './scale.ts'
import { noDemand } from './testing.ts'

const inputOf = (fields: { demand?: Partial<Demand>; scaling?: object; ready?: number } = {}): ScaleInput => ({
  scaling: Scaling.parse({ minReplicas: 1, maxReplicas: 10, ...fields.scaling }),
  slo: { ttftMs: 1_000 },
  demand: { ...noDemand, ...fields.demand },
  ready: fields.ready ?? 1,
  slotsPerWorker: 8,
})
const waitsOf = (waitMs: number, times: number) => [...Array.from({ length: stepOf(waitMs) }, () => 0), times]
const sample = (at: number, fields: Partial<DemandSample> = {}): DemandSample => ({
  at,
  waiting: 0,
  offered: 10,
  met: 10,
  waits: waitsOf(1, 10),
  ...fields,
})

/** The same input again and again, a second apart. */
function repeat(input: (now: number) => ScaleInput, state: ScaleState, from: number, seconds: number) {
  let decision = decideScale(input(from), state, from)
  for (let now = from + 1_000; now <= from + seconds * 1_000; now += 1_000)
    decision = decideScale(input(now), decision.state, now)
  return decision
}

test('a held request wakes a sleeping pair at once, and says so', () => {
  const scaling = { minReplicas: 0 }
  const held = inputOf({ scaling, demand: { waiting: 1, held: 1 }, ready: 0 })
  const state = firstState(held, 0, 0)
  expect(decideScale(held, state, 50)).toMatchObject({ replicas: 1, reason: 'WokenByRequest' })
  const crowd = inputOf({ scaling, demand: { waiting: 100, held: 100 }, ready: 0 })
  expect(decideScale(crowd, state, 50).replicas).toBe(4)
  expect(decideScale(inputOf({ scaling }), state, 50)).toMatchObject({ replicas: 0, reason: 'Asleep' })
})

test('idle for idleSeconds, all beyond the minimum go together', () => {
  const idle = inputOf({ scaling: { minReplicas: 0, idleSeconds: 60 } })
  const state = firstState(idle, 4, 0)
  expect(repeat(() => idle, state, 0, 59).replicas).toBe(4)
  expect(repeat(() => idle, state, 0, 60)).toMatchObject({ replicas: 0, reason: 'Asleep' })
})

test('the last worker does not go by a low load, only by idleness', () => {
  const little = inputOf({ scaling: { minReplicas: 0 }, demand: { running: 1 } })
  expect(repeat(() => little, firstState(little, 1, 0), 0, 3_600).replicas).toBe(1)
})

test('what does not fit within maxReplicas is said', () => {
  const much = inputOf({ demand: { running: 80, waiting: 20 }, ready: 10 })
  expect(decideScale(much, firstState(much, 10, 0), 1_000)).toMatchObject({ replicas: 10, reason: 'AtMaximum' })
})

test('an advisory says what it would do, and does nothing', () => {
  const much = inputOf({ scaling: { mode: 'advisory' }, demand: { running: 16, waiting: 20 }, ready: 2 })
  expect(decideScale(much, firstState(much, 2, 0), 1_000)).toMatchObject({
    replicas: 2,
    recommended: 7,
    reason: 'Advisory',
  })
})

test('down needs the whole window; a peak in it starts it anew', () => {
  const little = () => inputOf({ demand: { running: 2 }, ready: 3 })
  const state = firstState(little(), 3, 0)
  const later = repeat(little, state, 0, 290)
  expect(later).toMatchObject({ replicas: 3, recommended: 1, reason: 'Stabilizing' })
  expect(repeat(little, later.state, 291_000, 30).replicas).toBe(2)
  const peak = decideScale(inputOf({ demand: { running: 20, waiting: 1 }, ready: 3 }), later.state, 291_000)
  expect(repeat(little, peak.state, 292_000, 250).replicas).toBe(4)
})

test('a time without data does not count as part of the window', () => {
  const little = () => inputOf({ demand: { running: 2 }, ready: 3 })
  const blind = () => inputOf({ demand: { freshness: 'stale' }, ready: 3 })
  const dark = repeat(blind, repeat(little, firstState(little(), 3, 0), 0, 200).state, 201_000, 600)
  expect(dark).toMatchObject({ replicas: 3, reason: 'StaleMetrics' })
  expect(repeat(little, dark.state, 802_000, 280).replicas).toBe(3)
})

describe('requests that miss their SLO', () => {
  const at = (now: number, fields: Partial<DemandSample>, more: Parameters<typeof inputOf>[0] = {}) =>
    inputOf({
      demand: { running: 6, samples: [sample(now - 10_000, fields), sample(now - 5_000, fields)], ...more.demand },
      scaling: { busyRatioMax: 1, ...more.scaling },
      ready: more.ready ?? 2,
    })

  test.each([
    ['too few within it', { met: 7 }, { metric: 'goodput' }, 3],
    ['enough within it', { met: 10 }, { metric: 'goodput' }, 2],
    ['too long in the queue, by half of the SLO', { waits: waitsOf(600, 10) }, { metric: 'goodput' }, 3],
    ['too long in the queue, by queueWaitMsMax', { waits: waitsOf(600, 10) }, { metric: 'queue' }, 3],
    ['not too long in the queue', { waits: waitsOf(600, 10) }, { metric: 'queue', queueWaitMsMax: 5_000 }, 2],
    ['lost for other reasons, where only the queue counts', { met: 0 }, { metric: 'queue' }, 2],
  ])('%s', (_name, fields, scaling, replicas) => {
    const first = at(0, {}, { scaling })
    expect(repeat((now) => at(now, fields, { scaling }), firstState(first, 2, 0), 0, 40).replicas).toBe(replicas)
  })

  test('say nothing where workers have nothing to do, are not all up, or have only just come up', () => {
    const state = firstState(at(0, {}), 2, 0)
    const idle = { demand: { running: 2 } }
    expect(repeat((now) => at(now, { met: 0 }, idle), state, 0, 60).state.floor).toBeNull()
    expect(repeat((now) => at(now, { met: 0 }, { ready: 1 }), state, 0, 60).state.floor).toBeNull()
    expect(repeat((now) => at(now, { met: 0 }), state, 0, 19).state.floor).toBeNull()
  })

  test('are remembered: the number that was needed stays for hours, as long as as many requests come', () => {
    const missed = repeat((now) => at(now, { met: 7 }), firstState(at(0, {}), 2, 0), 0, 40)
    const well = (now: number) => at(now, {}, { ready: 3 })
    const anHour = repeat(well, missed.state, 41_000, 3_600)
    expect(anHour.replicas).toBe(3)
    const fewer = (now: number) => at(now, { waits: waitsOf(1, 2), offered: 2, met: 2 }, { ready: 3 })
    expect(repeat(fewer, anHour.state, 3_642_000, 400).replicas).toBeLessThan(3)
    expect(repeat(well, anHour.state, 3_642_000, 2 * 3_600).replicas).toBe(1)
  })
})
