/**
 * How long things waited, as counts on a logarithmic scale: cheap to count, small to send, and exact to add up, so that a quantile
 * over many senders and seconds is right to a step (19 %).
 *
 * Step i holds waits up to `upperMs(i)`: 1 ms, then four steps per doubling. Counts end with the last step that is not empty.
 */
import { limits } from '#contracts/limits.ts'

const stepsPerDoubling = 4

export type WaitHistogram = readonly number[]

export function stepOf(waitMs: number): number {
  if (!(waitMs > 1)) return 0
  return Math.min(limits.queue.waitStepsMax - 1, Math.ceil(stepsPerDoubling * Math.log2(waitMs)))
}

export function upperMs(step: number): number {
  return 2 ** (step / stepsPerDoubling)
}

/** Counts one wait. */
export function addWait(counts: number[], waitMs: number): void {
  const step = stepOf(waitMs)
  while (counts.length <= step) counts.push(0)
  counts[step] = (counts[step] ?? 0) + 1
}

export function merge(histograms: readonly WaitHistogram[]): number[] {
  const sum: number[] = []
  for (const counts of histograms)
    for (let step = 0; step < counts.length; step++) sum[step] = (sum[step] ?? 0) + (counts[step] ?? 0)
  return sum
}

export function countOf(counts: WaitHistogram): number {
  return counts.reduce((sum, count) => sum + count, 0)
}

/** The wait that `share` of them did not exceed, rounded up to its step; null: there are none. */
export function quantileMs(counts: WaitHistogram, share: number): number | null {
  const total = countOf(counts)
  if (total === 0) return null
  const wanted = Math.max(1, Math.ceil(share * total))
  let seen = 0
  for (let step = 0; step < counts.length; step++) {
    seen += counts[step] ?? 0
    if (seen >= wanted) return upperMs(step)
  }
  return null
}
