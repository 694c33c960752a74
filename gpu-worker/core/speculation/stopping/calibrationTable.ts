/**
 * Predicted against what came true: whether a proposal's confidence means what it says. Pure.
 */
import type { HeadExample, HeadInput } from './acceptanceHead.ts'

export interface CalibrationRow {
  /** Predictions from here … */
  readonly from: number
  /** … up to here, the last row's end included. */
  readonly to: number
  readonly examples: number
  readonly predicted: number
  readonly cameTrue: number
}

export interface Calibration {
  /** Only rows that have examples. */
  readonly rows: readonly CalibrationRow[]
  /** Mean distance between the two, by weight: 0 where every prediction came true as often as it said. */
  readonly error: number
}

const bins = 10

export function calibrationOf(predict: (input: HeadInput) => number, examples: readonly HeadExample[]): Calibration {
  const sums = Array.from({ length: bins }, () => ({ examples: 0, weight: 0, predicted: 0, cameTrue: 0 }))
  for (const example of examples) {
    const chance = predict(example)
    const { taken, weight = 1 } = example
    const sum = sums[Math.min(bins - 1, Math.max(0, Math.floor(chance * bins)))]
    if (sum === undefined) continue
    sum.examples += 1
    sum.weight += weight
    sum.predicted += weight * chance
    sum.cameTrue += weight * taken
  }
  const total = sums.reduce((all, { weight }) => all + weight, 0)
  const apart = sums.reduce((all, { predicted, cameTrue }) => all + Math.abs(predicted - cameTrue), 0)
  const rows = sums.flatMap(({ examples: count, weight, predicted, cameTrue }, bin) =>
    weight === 0
      ? []
      : [
          {
            from: bin / bins,
            to: (bin + 1) / bins,
            examples: count,
            predicted: predicted / weight,
            cameTrue: cameTrue / weight,
          },
        ],
  )
  return { rows, error: total === 0 ? 0 : apart / total }
}
