/**
 * A set of things that come and go fast, each at a number of its own.
 *
 * Not a Map or Set, for a reason that was measured: V8's hash tables are replaced every few dozen deletions, and the old table
 * points to the new one. Once one table is old, every later one, with everything that stood in it when it was replaced, survives
 * all young collections: each request cost 9 KB of old memory and the router's heap grew by 100 MB in seconds.
 * An array with holes has no such chain. It only grows, to the most that were ever in it at once.
 */
export class Slots<T> {
  readonly #items: (T | null)[] = []
  readonly #free: number[] = []

  get size(): number {
    return this.#items.length - this.#free.length
  }

  /** The lowest number that was free last. */
  add(item: T): number {
    const index = this.#free.pop() ?? this.#items.length
    this.#items[index] = item
    return index
  }

  get(index: number): T | null {
    return this.#items[index] ?? null
  }

  /** Only where `item` is what stands there: a number may have been given to somebody else. */
  remove(index: number, item: T): void {
    if (this.#items[index] !== item) return
    this.#items[index] = null
    this.#free.push(index)
  }

  /** May be added to and removed from meanwhile; what is added may be met or not. */
  *[Symbol.iterator](): Generator<T> {
    for (let index = 0; index < this.#items.length; index++) {
      const item = this.#items[index]
      if (item !== null && item !== undefined) yield item
    }
  }
}
