/**
 * How far a fetch is, and how fast: bytes over the last two seconds, so that the number neither jumps nor lags.
 *
 * Pure but for its memory: the caller passes `now`.
 */
export interface Progress {
  readonly activity: string
  readonly bytes: number
  readonly bytesTotal: number | null
  readonly bytesPerSecond: number
}

const windowMs = 2_000

export class ProgressMeter {
  #activity = 'starting'
  #bytes = 0
  #bytesTotal: number | null = null
  #samples: { at: number; bytes: number }[] = []

  /** A new stage: its bytes are counted from its own start. */
  begin(activity: string): void {
    this.#activity = activity
    this.#bytes = 0
    this.#bytesTotal = null
    this.#samples = []
  }

  /** At most one sample per 100 ms is kept, so that memory does not depend on the size of the pieces. */
  add(bytes: number, bytesTotal: number | null, now: number): void {
    this.#bytes = bytes
    this.#bytesTotal = bytesTotal
    const last = this.#samples.at(-1)
    if (last !== undefined && now - last.at < windowMs / 20) return
    this.#samples = [...this.#samples.filter(({ at }) => now - at <= windowMs), { at: now, bytes }]
  }

  read(now: number): Progress {
    const first = this.#samples.find(({ at }) => now - at <= windowMs)
    const seconds = first === undefined ? 0 : (now - first.at) / 1_000
    const gained = first === undefined ? 0 : Math.max(0, this.#bytes - first.bytes)
    return {
      activity: this.#activity,
      bytes: this.#bytes,
      bytesTotal: this.#bytesTotal,
      bytesPerSecond: seconds > 0 ? gained / seconds : 0,
    }
  }
}
