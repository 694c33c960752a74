/**
 * A binary heap that gives the greatest value first, and of equal values the one that was pushed first: trees must not depend on how
 * a heap breaks ties.
 */
interface Entry<T> {
  readonly value: number
  readonly item: T
  readonly arrival: number
}

export class ValueQueue<T> {
  readonly #heap: Entry<T>[] = []
  #arrivals = 0

  push(value: number, item: T): void {
    const heap = this.#heap
    const entry = { value, item, arrival: this.#arrivals++ }
    let at = heap.length
    for (; at > 0; ) {
      const above = (at - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || isBefore(parent, entry)) break
      heap[at] = parent
      at = above
    }
    heap[at] = entry
  }

  pop(): { readonly value: number; readonly item: T } | null {
    const [first] = this.#heap
    const last = this.#heap.pop()
    if (first === undefined || last === undefined) return null
    if (last !== first) this.#sink(last)
    return first
  }

  /** Puts an entry at the top and lets it down to its place. */
  #sink(entry: Entry<T>): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      const left = heap[2 * at + 1]
      const right = heap[2 * at + 2]
      if (left === undefined) break
      const isRight = right !== undefined && isBefore(right, left)
      const child = isRight ? right : left
      if (isBefore(entry, child)) break
      heap[at] = child
      at = 2 * at + (isRight ? 2 : 1)
    }
    heap[at] = entry
  }
}

function isBefore(one: Entry<unknown>, other: Entry<unknown>): boolean {
  return one.value > other.value || (one.value === other.value && one.arrival < other.arrival)
}
