import { expect, test } from 'vitest'
import { createRandom } from '#test/simulate/random.ts'
import { auroc } from './auroc.ts'

const answers = (right: readonly number[], wrong: readonly number[]) => [
  ...right.map((score) => ({ score, right: true })),
  ...wrong.map((score) => ({ score, right: false })),
]

test('a perfect score has an area of 1, one that lies 0, one that says nothing a half', () => {
  expect(auroc(answers([3, 4], [1, 2])).area).toBe(1)
  expect(auroc(answers([1, 2], [3, 4])).area).toBe(0)
  expect(auroc(answers([1, 1], [1, 1, 1])).area).toBe(0.5)
  // By hand: of six pairs four are in order and one is a tie.
  expect(auroc(answers([2, 5], [1, 2, 4])).area).toBeCloseTo(4.5 / 6, 12)
})

test('one answer of a kind says nothing of how sure that is', () => {
  expect(auroc(answers([2], [1, 3]))).toEqual({ area: 0.5, lower: 0, upper: 1 })
})

test("DeLong's interval by hand: placements of two right and three wrong answers", () => {
  // Right: over 1.5/3 and 3/3; wrong: under 2/2, 1.5/2, 1/2.
  const variance = ((0.5 - 0.75) ** 2 * 2) / 1 / 2 + (0.25 ** 2 * 2) / 2 / 3
  const { lower, upper } = auroc(answers([2, 5], [1, 2, 4]), 1)
  expect([lower, upper]).toEqual([
    expect.closeTo(0.75 - Math.sqrt(variance), 12),
    expect.closeTo(Math.min(1, 0.75 + Math.sqrt(variance)), 12),
  ])
})

test('the interval covers the true area about as often as it says', () => {
  // Scores of right answers are the greater of two draws: the true area is 2/3.
  const random = createRandom(3)
  let covered = 0
  for (let run = 0; run < 500; run += 1) {
    const right = Array.from({ length: 80 }, () => Math.max(random.next(), random.next()))
    const wrong = Array.from({ length: 60 }, () => random.next())
    const { lower, upper } = auroc(answers(right, wrong))
    if (lower <= 2 / 3 && upper >= 2 / 3) covered += 1
  }
  expect(covered / 500).toBeGreaterThan(0.92)
})
