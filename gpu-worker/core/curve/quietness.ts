/**
 * Was it quiet while a shape of batch was timed? A neighbour on the same CPUs makes single decodes up to a hundred times longer, and a
 * curve that was measured beside one makes drafting look dear for as long as it is kept.
 *
 * Quiet is what several undisturbed rounds agree on. Compute threads spin, so a round that was given less than its threads' worth of CPU
 * time had to share and does not count. (Measured on two CPUs: 0.95 to 1.05 of it in quiet, 0.1 to 0.5 beside others. Involuntary context
 * switches were as many in quiet.) Where that says nothing, as on a GPU, agreement has to do.
 */

/** One decode, timed on purpose. */
export interface Timing {
  readonly ms: number
  /** CPU time that the process was given, over what its compute threads could have used; null: says nothing here. */
  readonly cpuShare: number | null
}

export interface Reading {
  readonly ms: number
  readonly isQuiet: boolean
}

/** So many rounds must agree … */
const agreeing = 3
/** … up to this ratio of the longest of them to the shortest. */
const agreement = 1.12
/** With less it had to share. */
const cpuShareMin = 0.88
/** Rounds after which a shape is given up: it is not quiet here. */
export const roundsMax = 9

/** What the shape takes; null: more rounds are needed to say so. */
export function readingOf(timings: readonly Timing[]): Reading | null {
  const quiet = ascending(timings.filter(isUndisturbed))
  const [shortest = 0, middle = 0, longest = 0] = quiet
  if (quiet.length >= agreeing && longest <= agreement * shortest) return { ms: middle, isQuiet: true }
  if (timings.length < roundsMax) return null
  // Nothing but delay is added to a step, so the shortest is nearest to the truth.
  return { ms: Math.min(...timings.map(({ ms }) => ms)), isQuiet: false }
}

const isUndisturbed = ({ cpuShare }: Timing) => cpuShare === null || cpuShare >= cpuShareMin
const ascending = (timings: readonly Timing[]) => timings.map(({ ms }) => ms).sort((a, b) => a - b)
