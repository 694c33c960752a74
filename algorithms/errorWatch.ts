/**
 * Watches whether a calibrated error rate still holds, one new label at a time: a Bernoulli CUSUM with an exact false alarm rate.
 *
 * A wrong answer adds `step`, a right one takes 1 away, never below 0; at `limit` it alarms. The step is the likelihood ratio of "twice
 * the rate" against "just the rate allowed", as a whole number, so that the sum is a small Markov chain, and how long it runs until it
 * alarms is a linear equation, not a bound: `limit` is the smallest at which an error rate of exactly `errorRateMax` alarms once in
 * `falseAlarmLabels` labels on average (a lower rate far more rarely, for every path it takes alarms later). Of all watches with that
 * rate it is the one that finds a doubled error rate soonest (Moustakides 1986).
 *
 * Unlike a bound that is re-checked on all labels so far, it forgets: a good past does not hide a bad present.
 */
import assert from 'node:assert/strict'

export interface WatchOptions {
  /** The rate that must not be exceeded. */
  readonly errorRateMax: number
  /** Mean number of labels between two false alarms, while the rate is just as high as allowed. */
  readonly falseAlarmLabels: number
}

export interface ErrorWatch {
  readonly step: number
  readonly limit: number
}

/** The sum; 0 at first and after each calibration. */
export type WatchState = number

const stepMax = 200
const limitMax = 20_000

export function planWatch({ errorRateMax, falseAlarmLabels }: WatchOptions): ErrorWatch {
  assert(errorRateMax > 0 && errorRateMax < 1 && falseAlarmLabels > 1, 'a rate between 0 and 1, and some labels')
  const step = stepOf(errorRateMax)
  // Twice too long is found by doubling, then the smallest by halving.
  let enough = step
  while (enough < limitMax && meanLabels({ step, limit: enough }, errorRateMax) < falseAlarmLabels) enough *= 2
  let low = 1
  let high = Math.min(enough, limitMax)
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (meanLabels({ step, limit: middle }, errorRateMax) < falseAlarmLabels) low = middle + 1
    else high = middle
  }
  return { step, limit: high }
}

export function afterLabel({ step, limit }: ErrorWatch, state: WatchState, wrong: boolean): WatchState {
  return wrong ? Math.min(limit, state + step) : Math.max(0, state - 1)
}

export const hasAlarmed = ({ limit }: ErrorWatch, state: WatchState) => state >= limit

/** Mean number of labels until it alarms, at an error rate that stays, from 0. Exact. */
export function meanLabels({ step, limit }: ErrorWatch, errorRate: number): number {
  // mean[s] = 1 + (1 - rate) mean[s - 1] + rate mean[s + step]: each row is solved for its own state, in terms of later ones.
  const right = 1 - errorRate
  const rows: { constant: number; later: Float64Array }[] = []
  for (let state = 0; state < limit; state += 1) {
    const before = rows[state - 1]
    // Of state 0 a right answer leads to itself; of others to the row before, which speaks of this state and later ones.
    const own = 1 - right * (before === undefined ? 1 : (before.later[0] ?? 0))
    const constant = 1 + right * (before?.constant ?? 0)
    const later = new Float64Array(step)
    if (before !== undefined) for (let i = 1; i < step; i += 1) later[i - 1] = (right * (before.later[i] ?? 0)) / own
    if (state + step < limit) later[step - 1] = (later[step - 1] ?? 0) + errorRate / own
    rows.push({ constant: constant / own, later })
  }
  const means = new Float64Array(limit + step)
  for (let state = limit - 1; state >= 0; state -= 1) {
    const row = rows[state]
    if (row === undefined) continue
    means[state] = row.constant
    for (let i = 0; i < step; i += 1)
      means[state] = (means[state] ?? 0) + (row.later[i] ?? 0) * (means[state + 1 + i] ?? 0)
  }
  return means[0] ?? 0
}

/** Chance of an alarm within so many labels, at an error rate that stays, from 0. Exact. */
export function alarmChance(watch: ErrorWatch, errorRate: number, labels: number): number {
  let states = new Float64Array(watch.limit + 1)
  states[0] = 1
  for (let label = 0; label < labels; label += 1) {
    const next = new Float64Array(watch.limit + 1)
    next[watch.limit] = states[watch.limit] ?? 0
    for (let state = 0; state < watch.limit; state += 1) {
      const chance = states[state] ?? 0
      if (chance === 0) continue
      const wrong = afterLabel(watch, state, true)
      const right = afterLabel(watch, state, false)
      next[wrong] = (next[wrong] ?? 0) + chance * errorRate
      next[right] = (next[right] ?? 0) + chance * (1 - errorRate)
    }
    states = next
  }
  return states[watch.limit] ?? 0
}

/** ln(q / p) over ln((1 - p) / (1 - q)) for the rate p and q twice as high, or half-way to 1 where that is less. */
function stepOf(rate: number): number {
  const raised = Math.min(2 * rate, (1 + rate) / 2)
  const ratio = Math.log(raised / rate) / (Math.log1p(-rate) - Math.log1p(-raised))
  return Math.max(1, Math.min(stepMax, Math.round(ratio)))
}
