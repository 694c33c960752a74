import { describe, expect, test } from 'vitest'
import { createRandom } from '#test/simulate/random.ts'
import { afterLabel, alarmChance, type ErrorWatch, hasAlarmed, meanLabels, planWatch } from './errorWatch.ts'

const watch = planWatch({ errorRateMax: 0.1, falseAlarmLabels: 10_000 })

/** Labels until the alarm, or null within `labelsMax`; the error rate is a function of the label's number. */
function run(plan: ErrorWatch, rateAt: (label: number) => number, options: { seed: number; labelsMax: number }) {
  const random = createRandom(options.seed)
  let state = 0
  for (let label = 0; label < options.labelsMax; label += 1) {
    state = afterLabel(plan, state, random.chance(rateAt(label)))
    if (hasAlarmed(plan, state)) return label + 1
  }
  return null
}

describe('an error rate that moves from 0.05 to 0.20', () => {
  const moved = 200
  const runs = Array.from({ length: 1_000 }, (_, seed) =>
    run(watch, (label) => (label < moved ? 0.05 : 0.2), { seed, labelsMax: moved + 300 }),
  )

  test('is found within 300 labels in at least 95% of runs, and not before it moved', () => {
    expect(runs.filter((at) => at !== null && at > moved).length / runs.length).toBeGreaterThanOrEqual(0.95)
    expect(runs.filter((at) => at !== null && at <= moved).length).toBeLessThanOrEqual(2)
  })

  test('with the chance that the chain says', () => {
    const chance = alarmChance(watch, 0.2, 300)
    expect(chance).toBeGreaterThan(0.98)
    // The labels before the move can only help.
    expect(runs.filter((at) => at !== null).length / runs.length).toBeGreaterThan(chance - 0.02)
  })
})

describe('false alarms', () => {
  test('come once in 10,000 labels where the error is just what is allowed, and the limit is the smallest that does it', () => {
    expect(meanLabels(watch, 0.1)).toBeGreaterThanOrEqual(10_000)
    expect(meanLabels({ ...watch, limit: watch.limit - 1 }, 0.1)).toBeLessThan(10_000)
  })

  test('are rarer the better the answers are', () => {
    const rates = [0.2, 0.1, 0.08, 0.05, 0.02]
    const means = rates.map((rate) => meanLabels(watch, rate))
    expect(means).toEqual(means.toSorted((a, b) => a - b))
    expect(meanLabels(watch, 0.05)).toBeGreaterThan(1e7)
  })

  test('come as often as computed: 400 runs on a small watch', () => {
    const small = planWatch({ errorRateMax: 0.1, falseAlarmLabels: 300 })
    const expected = meanLabels(small, 0.1)
    const lengths = Array.from({ length: 400 }, (_, seed) => run(small, () => 0.1, { seed, labelsMax: 100_000 }) ?? 0)
    const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length
    // Nearly exponential: its standard error is about the mean over 20.
    expect(Math.abs(mean - expected)).toBeLessThan((4 * expected) / 20)
  })
})

test('a good past does not hide a bad present', () => {
  const afterLong = Array.from({ length: 100 }, (_, seed) =>
    run(watch, (label) => (label < 5_000 ? 0.02 : 0.3), { seed, labelsMax: 5_150 }),
  )
  expect(afterLong.filter((at) => at !== null && at > 5_000).length).toBeGreaterThan(95)
})

test('the mean of a chain of one state is that of waiting for the first wrong answer', () => {
  expect(meanLabels({ step: 5, limit: 1 }, 0.1)).toBeCloseTo(10, 10)
  expect(meanLabels({ step: 3, limit: 3 }, 0.25)).toBeCloseTo(4, 10)
  // Two wrong answers in a row, or one right between them: 1/p + (1/p)/(something) by hand for p = 1/2 is 6.
  expect(meanLabels({ step: 1, limit: 2 }, 0.5)).toBeCloseTo(6, 10)
})

test('every error rate that a resource may name has a watch', () => {
  for (const errorRateMax of [0.001, 0.01, 0.05, 0.3, 0.5, 0.9]) {
    const plan = planWatch({ errorRateMax, falseAlarmLabels: 1_000 })
    expect(meanLabels(plan, errorRateMax)).toBeGreaterThanOrEqual(1_000)
  }
})
