/**
 * Who leaves a full cache: one interface for every policy, so that adapters, prefix states and files can be kept by any of them.
 *
 * A policy decides and remembers what it needs to decide; `PolicyCache` keeps the books and is its only caller. Items may differ in
 * size and in what it costs to bring them back. Where every item costs the same per byte, sizes play no part and each policy is
 * the published one (algorithms 10 and 19 of the notes: LRU, Belady, discard bits, marking).
 */
export interface CacheItem<Key> {
  readonly key: Key
  readonly bytes: number
  /** Of bringing it in again, in one unit for all items of a cache. */
  readonly cost: number
}

/** What is known about the future when an item is used. */
export interface Foresight<Key> {
  /** What waiting requests will use after this use, the next one first. Read only as far as a policy needs it. */
  readonly upcoming: Iterable<Key>
  /** A prediction that the best possible policy lets this item go before its next use. May be wrong. */
  readonly mayGo: boolean
}

export interface CachePolicy<Key> {
  /** An item is used: it has just come in, or was there. */
  used(item: CacheItem<Key>, foresight: Foresight<Key>): void
  /** It is no longer in the cache, for whatever reason. */
  left(key: Key): void
  /**
   * Keys of candidates that hold `wanted.bytes` together, or more where the policy lets several go at once. The candidates come
   * least recently used first, hold enough, and nothing that is pinned is among them.
   */
  choose(candidates: readonly CacheItem<Key>[], wanted: Wanted<Key>): readonly Key[]
}

export interface Wanted<Key> {
  readonly bytes: number
  readonly upcoming: Iterable<Key>
}

/** The first of a list that hold so many bytes together. */
export function firstThatHold<Key>(items: readonly CacheItem<Key>[], bytes: number): Key[] {
  const keys: Key[] = []
  let held = 0
  for (const item of items) {
    if (held >= bytes) break
    keys.push(item.key)
    held += item.bytes
  }
  return keys
}

/** A list in ascending order of a value; equals stay as they are, which is least recently used first. */
export function orderedBy<Key>(items: readonly CacheItem<Key>[], value: (item: CacheItem<Key>) => number) {
  return items
    .map((item) => ({ item, value: value(item) }))
    .sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0))
    .map(({ item }) => item)
}

/** Cheap to bring back for the room it takes: goes first, where nothing else tells two items apart. */
export const bytesPerCost = (item: CacheItem<unknown>): number => item.bytes / item.cost
