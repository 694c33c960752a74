/** What must hold of the autoscaler whatever the load does: seeded sequences of demand against the pure function. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Scaling } from '#contracts/resources/modelDeployment.ts'
import type { Demand } from './observed.ts'
import { decideScale, firstState, type ScaleInput, type ScaleState } from './scale.ts'
import { slicesMax } from './scaleWindows.ts'

const freshness = fc.constantFrom('fresh', 'fresh', 'fresh', 'partial', 'stale') as fc.Arbitrary<Demand['freshness']>
const moment = fc.record({
  ms: fc.integer({ min: 50, max: 90_000 }),
  waiting: fc.nat(200),
  running: fc.nat(60),
  held: fc.nat(3),
  readyShare: fc.double({ min: 0, max: 1, noNaN: true }),
  offered: fc.nat(100),
  metShare: fc.double({ min: 0, max: 1, noNaN: true }),
  freshness,
})
type Moment = typeof moment extends fc.Arbitrary<infer T> ? T : never

const scaling = fc
  .record({
    minReplicas: fc.nat(3),
    more: fc.integer({ min: 1, max: 10 }),
    metric: fc.constantFrom('goodput', 'queue'),
    idleSeconds: fc.integer({ min: 1, max: 600 }),
    behavior: fc.record({
      scaleUp: fc.record({
        stabilizationWindowSeconds: fc.nat(120),
        periodSeconds: fc.integer({ min: 1, max: 60 }),
        stepMax: fc.integer({ min: 1, max: 5 }),
      }),
      scaleDown: fc.record({
        stabilizationWindowSeconds: fc.nat(600),
        periodSeconds: fc.integer({ min: 1, max: 60 }),
        stepMax: fc.integer({ min: 1, max: 5 }),
      }),
    }),
  })
  .map(({ more, ...rest }) => Scaling.parse({ ...rest, maxReplicas: rest.minReplicas + more }))

function inputOf(of: Scaling, at: Moment, replicas: number, now: number): ScaleInput {
  const { waiting, running, held, offered } = at
  const samples = [{ at: now - 5_000, waiting: 0, offered, met: Math.floor(offered * at.metShare), waits: [offered] }]
  return {
    scaling: of,
    slo: { ttftMs: 1_000 },
    demand: { freshness: at.freshness, waiting: waiting + held, running, held, slotsBusy: running, samples },
    ready: Math.floor(replicas * at.readyShare),
    slotsPerWorker: 8,
  }
}

/** Runs a sequence and calls back with what was before and after each decision. */
function play(
  of: Scaling,
  moments: readonly Moment[],
  look: (step: {
    before: ScaleState
    input: ScaleInput
    now: number
    decision: ReturnType<typeof decideScale>
  }) => void,
): void {
  let now = 0
  let state: ScaleState | null = null
  for (const at of moments) {
    now += at.ms
    const input = inputOf(of, at, state?.replicas ?? of.minReplicas, now)
    const before: ScaleState = state ?? firstState(input, of.minReplicas, now)
    const decision = decideScale(input, before, now)
    look({ before, input, now, decision })
    state = decision.state
  }
}

const moments = fc.array(moment, { minLength: 1, maxLength: 60 })

test('the number is always within its bounds, and so is what is recommended', () => {
  fc.assert(
    fc.property(scaling, moments, (of, sequence) => {
      play(of, sequence, ({ decision: { replicas, recommended, state } }) => {
        for (const value of [replicas, recommended, state.replicas]) {
          expect(value).toBeGreaterThanOrEqual(of.minReplicas)
          expect(value).toBeLessThanOrEqual(of.maxReplicas)
        }
      })
    }),
  )
})

test('bounds that are moved hold at once', () => {
  fc.assert(
    fc.property(scaling, scaling, moments, (first, second, sequence) => {
      play(first, sequence, ({ decision, input, now }) => {
        const { replicas } = decideScale({ ...input, scaling: second }, decision.state, now)
        expect(replicas).toBeGreaterThanOrEqual(second.minReplicas)
        expect(replicas).toBeLessThanOrEqual(second.maxReplicas)
      })
    }),
  )
})

test('more requests never give fewer workers', () => {
  fc.assert(
    fc.property(scaling, moments, fc.nat(50), fc.nat(50), (of, sequence, waiting, running) => {
      play(of, sequence, ({ before, input, now, decision }) => {
        const { demand } = input
        const more: Demand = {
          ...demand,
          waiting: demand.waiting + waiting,
          running: demand.running + running,
          slotsBusy: demand.slotsBusy + running,
        }
        const { replicas, recommended } = decideScale({ ...input, demand: more }, before, now)
        expect(replicas).toBeGreaterThanOrEqual(decision.replicas)
        expect(recommended).toBeGreaterThanOrEqual(decision.recommended)
      })
    }),
  )
})

test('without fresh data nothing is scaled down, and without any nothing is scaled at all', () => {
  fc.assert(
    fc.property(scaling, moments, (of, sequence) => {
      play(of, sequence, ({ before, input, decision }) => {
        if (input.demand.freshness === 'partial') expect(decision.replicas).toBeGreaterThanOrEqual(before.replicas)
        if (input.demand.freshness === 'stale') expect(decision.replicas).toBe(before.replicas)
      })
    }),
  )
})

test('a held request at zero wants a worker at once, whatever the windows say', () => {
  fc.assert(
    fc.property(scaling, moments, (of, sequence) => {
      play(of, sequence, ({ before, input, decision }) => {
        if (input.demand.freshness !== 'stale' && before.replicas === 0 && input.demand.held > 0)
          expect(decision.replicas).toBeGreaterThanOrEqual(1)
      })
    }),
  )
})

test('in no period is more changed than its step allows, waking and falling asleep apart', () => {
  fc.assert(
    fc.property(scaling, moments, (of, sequence) => {
      const changes: { at: number; delta: number }[] = []
      play(of, sequence, ({ before, decision, now }) => {
        if (decision.reason === 'ScaledUp' || decision.reason === 'ScaledDown') {
          if (decision.state.idleSince === null && before.replicas > 0)
            changes.push({ at: now, delta: decision.replicas - before.replicas })
        }
      })
      const within = (periodSeconds: number, sign: number) =>
        changes.map(({ at }) =>
          changes
            .filter(
              (other) => other.at <= at && at - other.at < periodSeconds * 1_000 && Math.sign(other.delta) === sign,
            )
            .reduce((sum, { delta }) => sum + Math.abs(delta), 0),
        )
      const { scaleUp, scaleDown } = of.behavior
      for (const sum of within(scaleUp.periodSeconds, 1)) expect(sum).toBeLessThanOrEqual(scaleUp.stepMax)
      for (const sum of within(scaleDown.periodSeconds, -1)) expect(sum).toBeLessThanOrEqual(scaleDown.stepMax)
    }),
  )
})

test('under a constant load the number moves in one direction, and then rests', () => {
  fc.assert(
    fc.property(scaling, fc.nat(60), fc.nat(8), (of, running, start) => {
      const load = {
        ms: 1_000,
        waiting: 0,
        held: 0,
        running,
        readyShare: 1,
        offered: 10,
        metShare: 1,
        freshness: 'fresh',
      } as const
      let now = 0
      let state = firstState(inputOf(of, load, start, now), start, now)
      const numbers = [state.replicas]
      for (let i = 0; i < 1_500; i++) {
        now += 1_000
        state = decideScale(inputOf(of, load, state.replicas, now), state, now).state
        if (state.replicas !== numbers.at(-1)) numbers.push(state.replicas)
      }
      const directions = new Set(numbers.slice(1).map((value, i) => Math.sign(value - (numbers[i] ?? 0))))
      expect(directions.size).toBeLessThanOrEqual(1)
    }),
    { numRuns: 40 },
  )
})

test('what it remembers is bounded, however often it is asked', () => {
  fc.assert(
    fc.property(scaling, fc.array(moment, { minLength: 200, maxLength: 400 }), (of, sequence) => {
      play(of, sequence, ({ decision: { state } }) => {
        expect(state.lows.length).toBeLessThanOrEqual(slicesMax + 2)
        expect(state.highs.length).toBeLessThanOrEqual(slicesMax + 2)
        expect(state.ups.length).toBeLessThanOrEqual(of.behavior.scaleUp.stepMax + of.maxReplicas)
        expect(state.downs.length).toBeLessThanOrEqual(of.behavior.scaleDown.stepMax + of.maxReplicas)
      })
    }),
    { numRuns: 20 },
  )
})
