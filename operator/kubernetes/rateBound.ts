/**
 * A bound on requests per second with a burst, first come first served: this operator must not be what slows an API server down.
 */
import { type Clock, delay } from '#runtime/clock.ts'

export interface RateBound {
  /** Resolves when the request may go. */
  take(): Promise<void>
}

export function createRateBound(
  clock: Clock,
  { perSecondMax, burstMax }: { readonly perSecondMax: number; readonly burstMax: number },
): RateBound {
  const intervalMs = 1_000 / perSecondMax
  /** When the bucket will have been full again: each request moves it on by one interval. */
  let fullAt = Number.NEGATIVE_INFINITY
  return {
    async take() {
      const now = clock.now()
      fullAt = Math.max(fullAt, now) + intervalMs
      const waitMs = fullAt - now - burstMax * intervalMs
      if (waitMs > 0) await delay(clock, waitMs)
    },
  }
}
