import { expect, test } from 'vitest'
import { blockScoreMax, blockBits, blockTime, blockWinner, firstKey, raceTime, secondKey, uniform } from './noise.ts'

/** Chi-square of counts against equal chances; with many cells its standard score is close to normal. */
function equalityScore(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  return (chiSquare - (counts.length - 1)) / Math.sqrt(2 * (counts.length - 1))
}

function histogram(cells: number, values: Iterable<number>): number[] {
  const counts = Array.from({ length: cells }, () => 0)
  for (const value of values) {
    const cell = Math.floor(value * cells)
    counts[cell] = (counts[cell] ?? 0) + 1
  }
  return counts
}

const draws = 200_000
const seeds = [0, 1, 2, 0xffff_ffff, 1234]

test('the noise is the same number whenever it is asked for', () => {
  expect(uniform(7, 100, 3)).toBe(uniform(7, 100, 3))
  expect(uniform(7, 100, 3)).not.toBe(uniform(7, 101, 3))
  expect(uniform(7, 100, 3)).not.toBe(uniform(8, 100, 3))
  expect(uniform(7, 100, 3)).not.toBe(uniform(7, 100, 4))
})

test('draws along positions, seeds and lanes are equally distributed', () => {
  for (const seed of seeds) {
    for (const draw of [
      (i: number) => uniform(seed, i),
      (i: number) => uniform((seed + i) >>> 0, 17),
      (i: number) => uniform(seed, 17, i),
      (i: number) => uniform((seed + i) >>> 0, i),
    ]) {
      const values = Array.from({ length: draws }, (_, i) => draw(i))
      expect(Math.abs(equalityScore(histogram(1_000, values)))).toBeLessThan(4)
      // The low bits too: the last of 53 must not be constant.
      expect(
        Math.abs(
          equalityScore(
            histogram(
              64,
              values.map((value) => (value * 2 ** 20) % 1),
            ),
          ),
        ),
      ).toBeLessThan(4)
    }
  }
})

test('neighbouring positions, seeds and lanes are independent pairs', () => {
  for (const seed of seeds) {
    for (const pair of [
      (i: number) => [uniform(seed, i), uniform(seed, i + 1)],
      (i: number) => [uniform((seed + i) >>> 0, 5), uniform((seed + i + 1) >>> 0, 5)],
      (i: number) => [uniform(seed, i, 0), uniform(seed, i, 1)],
      (i: number) => [uniform(seed, i), uniform((seed + 1) >>> 0, i - 1)],
    ]) {
      const counts = Array.from({ length: 32 * 32 }, () => 0)
      for (let i = 1; i <= draws; i++) {
        const [a = 0, b = 0] = pair(i)
        const cell = Math.floor(a * 32) * 32 + Math.floor(b * 32)
        counts[cell] = (counts[cell] ?? 0) + 1
      }
      expect(Math.abs(equalityScore(counts))).toBeLessThan(4)
    }
  }
})

test('race times are independent Exponential(1) variables, whichever place they have in their block', () => {
  const counts = histogram(1_000, [])
  const byToken = Array.from({ length: 64 }, () => 0)
  const neighbours = Array.from({ length: 16 * 16 }, () => 0)
  for (let position = 0; position < 4_000; position++) {
    const first = firstKey(99, position)
    const second = secondKey(99, position)
    let before = 0
    for (let token = 64; token < 128; token++) {
      const u = Math.exp(-raceTime(first, second, token))
      const cell = Math.floor(u * 1_000)
      counts[cell] = (counts[cell] ?? 0) + 1
      if (u > 0.5) byToken[token - 64] = (byToken[token - 64] ?? 0) + 1
      const square = Math.floor(before * 16) * 16 + Math.floor(u * 16)
      if (token % 2 === 1) neighbours[square] = (neighbours[square] ?? 0) + 1
      before = u
    }
  }
  expect(Math.abs(equalityScore(counts))).toBeLessThan(4)
  expect(Math.abs(equalityScore(byToken))).toBeLessThan(4)
  expect(Math.abs(equalityScore(neighbours))).toBeLessThan(4)
})

test('the bound of a block from its first bits is never below the value', () => {
  for (let position = 0; position < 200; position++) {
    const first = firstKey(3, position)
    const second = secondKey(3, position)
    for (let block = 0; block < 500; block++) {
      const score = -Math.log(blockTime(first, second, block))
      expect(blockScoreMax(blockBits(first, second, block))).toBeGreaterThanOrEqual(score)
    }
  }
})

test('the place of the earliest token in its block is uniform and independent of the time', () => {
  const counts = Array.from({ length: 64 * 4 }, () => 0)
  for (let position = 0; position < draws; position++) {
    const first = firstKey(11, position)
    const second = secondKey(11, position)
    const quarter = Math.floor(Math.exp(-64 * blockTime(first, second, 5)) * 4)
    const cell = (blockWinner(first, second, 5) % 64) * 4 + quarter
    counts[cell] = (counts[cell] ?? 0) + 1
  }
  expect(Math.abs(equalityScore(counts))).toBeLessThan(4)
})
