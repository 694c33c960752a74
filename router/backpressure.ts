/**
 * Clients that do not read: notices when a response's buffer is full, says when it has drained, and cuts off whoever stalls.
 *
 * One watch for all responses, swept by one timer. A response is in the watch exactly while it is blocked, so the watch is empty
 * when everybody reads, and nothing is kept of a response that has closed.
 */
import type { ServerResponse } from 'node:http'
import type { Clock } from '#runtime/clock.ts'

interface Stall {
  readonly since: number
  readonly cutOff: () => void
}

export class StallWatch {
  readonly #clock: Clock
  readonly #stallMsMax: number
  readonly #stalls = new Map<ServerResponse, Stall>()

  constructor(options: { clock: Clock; stallMsMax: number }) {
    this.#clock = options.clock
    this.#stallMsMax = options.stallMsMax
  }

  get size(): number {
    return this.#stalls.size
  }

  /** The response is blocked from now on; `resume` is called once it has drained, `cutOff` when it stalls too long. */
  block(response: ServerResponse, handlers: { resume: () => void; cutOff: () => void }): void {
    this.#stalls.set(response, { since: this.#clock.now(), cutOff: handlers.cutOff })
    response.once('drain', () => {
      this.#stalls.delete(response)
      handlers.resume()
    })
  }

  /** For a response that is complete but not read yet: only its end or its close lets go of it. */
  blockUntilClosed(response: ServerResponse, cutOff: () => void): void {
    this.#stalls.set(response, { since: this.#clock.now(), cutOff })
  }

  isBlocked(response: ServerResponse): boolean {
    return this.#stalls.has(response)
  }

  closed(response: ServerResponse): void {
    this.#stalls.delete(response)
  }

  sweep(): void {
    const now = this.#clock.now()
    for (const [response, stall] of this.#stalls) {
      if (now - stall.since < this.#stallMsMax) continue
      this.#stalls.delete(response)
      stall.cutOff()
    }
  }
}
