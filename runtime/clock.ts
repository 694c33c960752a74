/**
 * Time as a port. Only local, monotonic time exists here; nothing compares clocks of two machines.
 *
 * Shells take a `Clock` instead of calling timers, so that the simulation can run the whole system on a fake one.
 */
export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. */
  now(): number
  /** Runs `action` once after `ms`. A pending timer does not keep the process alive. */
  after(ms: number, action: () => void): Timer
  /** Runs `action` every `ms`, first after `ms`. */
  every(ms: number, action: () => void): Timer
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, action) {
    const handle = setTimeout(action, ms)
    handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
  every(ms, action) {
    const handle = setInterval(action, ms)
    handle.unref()
    return { cancel: () => clearInterval(handle) }
  },
}

/** Keeps the process alive until it is cancelled: timers do not, and whoever only waits would end in silence. */
export function keepAlive(): Timer {
  const handle = setInterval(() => undefined, 3_600_000)
  return { cancel: () => clearInterval(handle) }
}

/** Resolves after `ms`; for the few shells that wait in line. Rejects with the signal's reason when aborted. */
export function delay(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  if (signal?.aborted) return Promise.reject(signal.reason as Error)
  const onAbort = () => {
    timer.cancel()
    reject(signal?.reason as Error)
  }
  const timer = clock.after(ms, () => {
    signal?.removeEventListener('abort', onAbort)
    resolve()
  })
  signal?.addEventListener('abort', onAbort, { once: true })
  return promise
}

/** One turn of the event loop: what has arrived is handled, what was written is on its way. Takes no time of any clock. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
