/**
 * Puts one dispatch's events in order: each number exactly once, from 0.
 *
 * Go-back-N: what comes after a gap is dropped and asked for again with the gap, because the worker's outbox sends everything
 * from the missing number on. So nothing is ever held here, and a hostile or broken worker cannot make the router store events.
 * Allocation-free: this runs for every event of every stream.
 */
export interface Order {
  /** Number of the next event to deliver. */
  expected: number
  /** When the missing events were last asked for; null while nothing is known to be missing. */
  askedAt: number | null
}

export const newOrder = (): Order => ({ expected: 0, askedAt: null })

export type Arrival = 'deliver' | 'duplicate' | 'gap'

/** `gap`: ask for a re-send from `order.expected`, unless that was asked just now (`order.askedAt`). */
export function arrive(order: Order, number: number): Arrival {
  if (number === order.expected) {
    order.expected += 1
    order.askedAt = null
    return 'deliver'
  }
  return number < order.expected ? 'duplicate' : 'gap'
}
