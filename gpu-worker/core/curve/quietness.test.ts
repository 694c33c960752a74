import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readingOf, roundsMax, type Timing } from './quietness.ts'

const timings = (list: readonly number[], cpuShare: number | null = 1): Timing[] => list.map((ms) => ({ ms, cpuShare }))

test('three rounds that agree are enough, and the middle one counts', () => {
  expect(readingOf(timings([10, 10.4]))).toBeNull()
  expect(readingOf(timings([10, 10.4, 10.2]))).toEqual({ ms: 10.2, isQuiet: true })
})

test('a long round among others is left out', () => {
  expect(readingOf(timings([31, 10, 10.4, 10.2]))).toEqual({ ms: 10.2, isQuiet: true })
})

test('rounds that never agree give the shortest, and are not quiet', () => {
  const scattered = [10, 14, 19, 25, 33, 41, 52, 66, 80]
  expect(readingOf(timings(scattered.slice(0, roundsMax - 1)))).toBeNull()
  expect(readingOf(timings(scattered))).toEqual({ ms: 10, isQuiet: false })
})

test('rounds that had to share the CPUs do not count, however well they agree', () => {
  expect(readingOf(timings([20, 20, 20], 0.6))).toBeNull()
  expect(readingOf(timings(Array<number>(roundsMax).fill(20), 0.6))).toEqual({ ms: 20, isQuiet: false })
  expect(readingOf([...timings([20, 20, 20], 0.6), ...timings([10, 10, 10])])).toEqual({ ms: 10, isQuiet: true })
})

test('where CPU time says nothing, agreement has to do', () => {
  expect(readingOf(timings([20, 20, 20], null))).toEqual({ ms: 20, isQuiet: true })
})

test('delays never make a reading shorter than the shortest round, nor longer than the longest', () => {
  const rounds = fc.array(
    fc.record({
      ms: fc.double({ min: 0.1, max: 1_000, noNaN: true }),
      cpuShare: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
    }),
    {
      minLength: roundsMax,
      maxLength: roundsMax,
    },
  )
  fc.assert(
    fc.property(rounds, (list) => {
      const reading = readingOf(list)
      const all = list.map(({ ms }) => ms)
      expect(reading?.ms).toBeGreaterThanOrEqual(Math.min(...all))
      expect(reading?.ms).toBeLessThanOrEqual(Math.max(...all))
    }),
  )
})
