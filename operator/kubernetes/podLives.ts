/** What our own clock says about each pod: since when we know it, since when it runs, ends or was killed. Never compared with another clock. */
import type { Clock } from '#runtime/clock.ts'
import { isRunning } from './core/podState.ts'
import { isDeleting, type Pod, uidOf } from './core/objects.ts'

export interface PodLife {
  readonly seenAt: number
  runningSince: number | null
  deletingSince: number | null
  killedSince: number | null
  /** Its end has been told. */
  ended: boolean
}

export class PodLives {
  readonly #clock: Clock
  readonly #lives = new Map<string, PodLife>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  of(pod: Pod): PodLife {
    const known = this.#lives.get(uidOf(pod))
    if (known !== undefined) return known
    const seenAt = this.#clock.now()
    const life = { seenAt, runningSince: null, deletingSince: null, killedSince: null, ended: false }
    this.#lives.set(uidOf(pod), life)
    return life
  }

  follow(pod: Pod): void {
    const life = this.of(pod)
    const now = this.#clock.now()
    if (isRunning(pod)) life.runningSince ??= now
    if (isDeleting(pod)) life.deletingSince ??= now
  }

  forget(pod: Pod): void {
    this.#lives.delete(uidOf(pod))
  }
}
