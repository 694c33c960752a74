/**
 * How far predicted risks are from what came true: the expected calibration error, and R² over bins by rank. Pure.
 */

export interface Prediction {
  /** From 0 to 1. */
  readonly risk: number
  readonly wrong: boolean
}

export interface RiskBin {
  readonly count: number
  readonly risk: number
  readonly errorRate: number
}

const binsDefault = 10

/** Mean distance between risk and error rate in bins of equal width, weighted by how many are in each (ECE). */
export function expectedCalibrationError(predictions: readonly Prediction[], bins = binsDefault): number {
  const groups = Array.from({ length: bins }, (): Prediction[] => [])
  for (const prediction of predictions) groups[Math.min(bins - 1, Math.floor(prediction.risk * bins))]?.push(prediction)
  const distances = groups.filter((group) => group.length > 0).map(binOf)
  return distances.reduce((sum, bin) => sum + (bin.count / predictions.length) * Math.abs(bin.risk - bin.errorRate), 0)
}

/** As many predictions in each, from the lowest risk to the highest. */
export function rankBins(predictions: readonly Prediction[], bins = binsDefault): RiskBin[] {
  const sorted = predictions.toSorted((a, b) => a.risk - b.risk)
  const edge = (i: number) => Math.round((i * sorted.length) / bins)
  const groups = Array.from({ length: bins }, (_, i) => sorted.slice(edge(i), edge(i + 1)))
  return groups.filter((group) => group.length > 0).map(binOf)
}

/** Share of the bins' spread in error rate that their mean risk tells; below 0 where their mean would tell more. */
export function rankDetermination(predictions: readonly Prediction[], bins = binsDefault): number {
  const found = rankBins(predictions, bins)
  const mean = found.reduce((sum, { errorRate }) => sum + errorRate, 0) / found.length
  const left = found.reduce((sum, { errorRate, risk }) => sum + (errorRate - risk) ** 2, 0)
  const spread = found.reduce((sum, { errorRate }) => sum + (errorRate - mean) ** 2, 0)
  return 1 - left / spread
}

function binOf(group: readonly Prediction[]): RiskBin {
  const count = group.length
  return {
    count,
    risk: group.reduce((sum, { risk }) => sum + risk, 0) / count,
    errorRate: group.filter(({ wrong }) => wrong).length / count,
  }
}
