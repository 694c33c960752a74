/**
 * Several losses as one, so that a minimum of the one is a Pareto optimum of the several (2306.16564): each falls only where another
 * rises. Strictly monotone ones reach every such point; Chebyshev's also reaches some that are only weakly so.
 */

export const scalarisers = ['linear', 'quadratic', 'euclidean', 'chebyshev'] as const
export type Scalariser = (typeof scalarisers)[number]

export interface Scalarised {
  readonly value: number
  /** By each loss. */
  readonly slopes: Float64Array
}

/** `weights` and `losses` are of the same length, none below 0. */
export function scalarise(kind: Scalariser, losses: Float64Array, weights: Float64Array): Scalarised {
  const weighted = losses.map((loss, j) => loss * (weights[j] ?? 0))
  switch (kind) {
    case 'linear':
      return { value: sumOf(weighted), slopes: weights }
    case 'quadratic': {
      // Who is contradicted most counts most: the slope of an example grows with its loss.
      const sum = sumOf(weighted)
      return { value: sum * sum, slopes: weights.map((weight) => 2 * sum * weight) }
    }
    case 'euclidean': {
      const length = Math.sqrt(sumOf(weighted.map((loss) => loss * loss)))
      const slope = (loss: number, j: number) => (length === 0 ? 0 : (loss * (weights[j] ?? 0)) / length)
      return { value: length, slopes: weighted.map(slope) }
    }
    case 'chebyshev': {
      const most = weighted.reduce((best, loss, j) => (loss > (weighted[best] ?? 0) ? j : best), 0)
      return { value: weighted[most] ?? 0, slopes: weights.map((weight, j) => (j === most ? weight : 0)) }
    }
    default:
      return kind satisfies never
  }
}

function sumOf(values: Float64Array): number {
  let sum = 0
  for (const value of values) sum += value
  return sum
}
