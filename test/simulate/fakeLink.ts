/**
 * One direction of a connection between a client and the server: first in, first out, with seeded delay, loss and duplication.
 *
 * What is under way when the link breaks is lost, or just arrives (decided once per break: TCP delivers a prefix). While the
 * link is held (a partition nobody has noticed yet), everything waits in order.
 */
import type { Clock } from '#runtime/clock.ts'
import type { Random } from './random.ts'

export interface LinkFaults {
  /** Share of core messages that vanish; never applied to what TCP and JetStream protect. */
  lossRate: number
  duplicateRate: number
  delayMs: { min: number; max: number }
}

export class FakeLink {
  readonly #clock: Clock
  readonly #random: Random
  readonly #faults: () => LinkFaults
  #epoch = 0
  /** Messages of epochs up to this one arrive although the link broke. */
  #epochLetThrough = -1
  #lastArrival = 0
  #held: (() => void)[] | null = null
  lost = 0

  constructor(clock: Clock, random: Random, faults: () => LinkFaults) {
    this.#clock = clock
    this.#random = random
    this.#faults = faults
  }

  /** `reliable`: no loss or duplication while the link is up. */
  send(arrive: () => void, options: { reliable: boolean }): void {
    const { lossRate, duplicateRate, delayMs } = this.#faults()
    if (!options.reliable && this.#random.chance(lossRate)) {
      this.lost += 1
      return
    }
    const copies = !options.reliable && this.#random.chance(duplicateRate) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) this.#sendOne(arrive, delayMs)
  }

  #sendOne(arrive: () => void, delayMs: { min: number; max: number }): void {
    const now = this.#clock.now()
    const delay = delayMs.min + this.#random.next() * (delayMs.max - delayMs.min)
    this.#lastArrival = Math.max(this.#lastArrival, now + delay)
    const epoch = this.#epoch
    this.#clock.after(this.#lastArrival - now, () => {
      if (epoch !== this.#epoch && epoch > this.#epochLetThrough) this.lost += 1
      else if (this.#held === null) arrive()
      else this.#held.push(arrive)
    })
  }

  break(options: { letThrough: boolean }): void {
    if (options.letThrough) this.#epochLetThrough = this.#epoch
    this.#epoch += 1
    this.#lastArrival = 0
    this.lost += this.#held?.length ?? 0
    this.#held = null
  }

  hold(): void {
    this.#held ??= []
  }

  release(): void {
    const held = this.#held ?? []
    this.#held = null
    for (const arrive of held) arrive()
  }
}
