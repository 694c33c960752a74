/**
 * How well a score tells right answers from wrong ones: the area under the ROC curve, which is the chance that a right answer's score is
 * over a wrong one's (ties count half), with DeLong's interval, which assumes no law of the scores. Pure.
 */
import assert from 'node:assert/strict'

export interface Separation {
  readonly area: number
  /** Of the normal approximation, cut to 0 … 1; the whole range where one side has fewer than two answers. */
  readonly lower: number
  readonly upper: number
}

export interface ScoredAnswer {
  readonly score: number
  readonly right: boolean
}

/** `z`: 1.96 for 95 %. At least one answer of each kind. */
export function auroc(answers: readonly ScoredAnswer[], z = 1.96): Separation {
  const right = answers.filter((answer) => answer.right).map(({ score }) => score)
  const wrong = answers.filter((answer) => !answer.right).map(({ score }) => score)
  assert(right.length > 0 && wrong.length > 0, 'right and wrong answers')
  const rightOver = overShares(right, wrong)
  const wrongUnder = overShares(wrong, right).map((share) => 1 - share)
  const area = mean(rightOver)
  const error = Math.sqrt(variance(rightOver) / right.length + variance(wrongUnder) / wrong.length)
  if (!Number.isFinite(error)) return { area, lower: 0, upper: 1 }
  return { area, lower: Math.max(0, area - z * error), upper: Math.min(1, area + z * error) }
}

/** Of each of `scores`: the share of the others that are below it. */
function overShares(scores: readonly number[], others: readonly number[]): number[] {
  const sorted = Float64Array.from(others).sort()
  return scores.map((score) => {
    const below = countUnder(sorted, (other) => other < score)
    const notOver = countUnder(sorted, (other) => other <= score)
    return (below + notOver) / 2 / sorted.length
  })
}

/** How many from the beginning hold; those that hold stand before those that do not. */
function countUnder(sorted: Float64Array, holds: (value: number) => boolean): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(sorted[middle] ?? 0)) low = middle + 1
    else high = middle
  }
  return low
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

/** Of a sample; not a number for fewer than two. */
function variance(values: readonly number[]): number {
  const middle = mean(values)
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1)
}
