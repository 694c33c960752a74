/**
 * Was it quiet while a shape of batch was timed? A neighbour on the same CPUs makes single decodes up to a hundred times longer, and a
 * curve that was measured beside one makes drafting look dear for as long as it is kept.
 *
 * Quiet is what several undisturbed rounds agree on. The system says how often it took a CPU away from us; rounds in which it did so
 * do not count. Where nobody says it, agreement has to do.
 */

/** One decode, timed on purpose. */
export interface Timing {
  readonly ms: number
  /** How often the system took a CPU from this process meanwhile. */
  readonly interruptions: number
}

export interface Reading {
  readonly ms: number
  readonly isQuiet: boolean
}

/** So many rounds must agree … */
const agreeing = 3
/** … up to this ratio of the longest of them to the shortest. */
const agreement = 1.12
/** Timers and the kernel's own threads interrupt a quiet machine too: once, and once more in each so many milliseconds. */
const interruptionEveryMs = 50
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

const isUndisturbed = ({ ms, interruptions }: Timing) => interruptions <= 1 + ms / interruptionEveryMs
const ascending = (timings: readonly Timing[]) => timings.map(({ ms }) => ms).sort((a, b) => a - b)
