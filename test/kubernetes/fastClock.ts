/** Real time that runs faster, for tests of what waits on real connections. */
import type { Clock } from '#runtime/clock.ts'

export function fastClock(factor: number): Clock {
  return {
    now: () => performance.now() * factor,
    after(ms, action) {
      const handle = setTimeout(action, ms / factor)
      return { cancel: () => clearTimeout(handle) }
    },
    every(ms, action) {
      const handle = setInterval(action, ms / factor)
      return { cancel: () => clearInterval(handle) }
    },
  }
}
