/**
 * The autoscaler against a small queueing model: does the number of workers follow the load up and down, does the SLO hold once
 * it has, and does it rest where the load does?
 */
import { describe, expect, test } from 'vitest'
import { type Second, simulate } from './queueModel.fixture.ts'

const numbers = (course: readonly Second[], from: number, to: number) =>
  course.slice(from, to).map(({ replicas }) => replicas)

/** How often the number turns round: up after down, or down after up. */
function turns(values: readonly number[]): number {
  const moves = values.slice(1).map((value, i) => Math.sign(value - (values[i] ?? value)))
  const made = moves.filter((move) => move !== 0)
  return made.slice(1).filter((move, i) => move !== made[i]).length
}

function metShare(course: readonly Second[]): number {
  const sum = (value: (second: Second) => number) => course.reduce((total, second) => total + value(second), 0)
  return sum(({ met }) => met) / sum(({ offered }) => offered)
}

describe('a load that steps up and down again', () => {
  // A request takes 4 s, a worker has 8 slots: 1 request/s is 4 slots busy, 8 are 32, which is 6 workers at 70 %.
  const course = simulate({ load: (second) => (second < 300 || second >= 1_500 ? 1 : 8), seconds: 3_300 })

  test('is followed up at once, and settles at as many workers as it needs', () => {
    expect(Math.max(...numbers(course, 200, 300))).toBeLessThanOrEqual(2)
    expect(Math.min(...numbers(course, 325, 1_500))).toBeGreaterThanOrEqual(5)
    expect(Math.max(...numbers(course, 1_000, 1_500))).toBeLessThanOrEqual(7)
  })

  test('is served within the SLO once the workers are up and the queue is gone', () => {
    expect(metShare(course.slice(420, 1_500))).toBeGreaterThan(0.99)
  })

  test('is followed down after the window, one by one, and then there is rest', () => {
    expect(Math.min(...numbers(course, 1_500, 1_790))).toBeGreaterThanOrEqual(5)
    expect(Math.max(...numbers(course, 2_400, 3_300))).toBeLessThanOrEqual(2)
    expect(turns(numbers(course, 2_100, 3_300))).toBe(0)
  })
})

describe('a constant load', () => {
  test.each([
    [1, 1, 2],
    [3, 2, 3],
    [6, 4, 6],
    [9, 6, 9],
  ])('of %d requests per second settles between %d and %d workers, and stays', (rate, least, most) => {
    for (const seed of [1, 2, 3]) {
      const settled = numbers(simulate({ load: () => rate, seconds: 3_600, seed }), 1_200, 3_600)
      expect(Math.min(...settled)).toBeGreaterThanOrEqual(least)
      expect(Math.max(...settled)).toBeLessThanOrEqual(most)
      expect(turns(settled)).toBeLessThanOrEqual(1)
    }
  })

  test('that grows slow in full batches is spread, and not gathered again every few minutes', () => {
    // One worker alone would choke; two have the odd burst that does not fit.
    const serviceMs = (busy: number) => 1_000 * busy + 500
    const settled = numbers(simulate({ load: () => 1.2, seconds: 5_400, serviceMs }), 1_200, 5_400)
    expect(Math.min(...settled)).toBeGreaterThanOrEqual(2)
    expect(Math.max(...settled)).toBeLessThanOrEqual(4)
    expect(turns(settled)).toBeLessThanOrEqual(1)
  })
})

describe('sleep', () => {
  const scaling = { minReplicas: 0, idleSeconds: 120 }

  test('comes after idleSeconds without a request, and ends with the next one', () => {
    const bursts = (second: number) => (second < 60 || (second >= 400 && second < 430) ? 1 : 0)
    const course = simulate({ load: bursts, seconds: 700, scaling })
    expect(Math.min(...numbers(course, 0, 175))).toBeGreaterThanOrEqual(1)
    expect(Math.max(...numbers(course, 200, 399))).toBe(0)
    expect(Math.min(...numbers(course, 402, 500))).toBeGreaterThanOrEqual(1)
    expect(course.at(-1)).toMatchObject({ replicas: 0, waiting: 0 })
  })

  test('does not come between requests that are closer than idleSeconds', () => {
    const now = (second: number) => (Math.floor(second) % 100 === 0 ? 5 : 0)
    expect(new Set(numbers(simulate({ load: now, seconds: 2_000, scaling }), 110, 2_000))).toEqual(new Set([1]))
  })
})

test('a queue that grew while workers were starting is no reason for ever more of them', () => {
  const load = (second: number) => (second < 120 ? 1 : 6)
  const course = simulate({ load, seconds: 1_200, startSeconds: 90, scaling: { maxReplicas: 50 } })
  // 6 requests/s are 24 slots, 5 workers; 180 requests wait when the first of them are up.
  expect(Math.max(...numbers(course, 120, 1_200))).toBeLessThanOrEqual(14)
  expect(Math.max(...numbers(course, 1_000, 1_200))).toBeLessThanOrEqual(6)
  expect(metShare(course.slice(400, 1_200))).toBeGreaterThan(0.99)
})
