/**
 * Ctrl-C, as a person means it: once to end in order, once more to end at once.
 *
 * A terminal sends SIGINT to the whole process group and npm sends it once more to its child, so signals that arrive together
 * are one wish, not two.
 */
import type { Clock } from '#runtime/clock.ts'
import type { Interrupts } from './context.ts'
import { readyWord } from './detach.ts'

const oneWishMs = 500

export function watchInterrupts(clock: Clock): Interrupts {
  const first = new AbortController()
  const second = new AbortController()
  let firstAt = Number.POSITIVE_INFINITY
  let hasStarter = true
  const interrupt = (reason: string) => {
    if (!first.signal.aborted) {
      firstAt = clock.now()
      first.abort(reason)
    } else if (clock.now() - firstAt > oneWishMs) second.abort(reason)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupt(signal))
  process.on('disconnect', () => {
    if (hasStarter) interrupt('the process that started this one is gone')
  })
  // The channel must not keep a finished program alive.
  process.channel?.unref()
  return {
    first: first.signal,
    second: second.signal,
    outliveStarter() {
      hasStarter = false
      process.send?.(readyWord)
    },
  }
}
