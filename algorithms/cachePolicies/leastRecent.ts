/**
 * Least recently used first. Where items differ in cost per byte, this is GreedyDual-Size: an item is worth its cost per byte above
 * a level that rises with every eviction, so that old items fade whatever they cost. With equal costs per byte it is exactly LRU.
 */
import { type CacheItem, type CachePolicy, firstThatHold, orderedBy } from './policy.ts'

export function leastRecent<Key>(): CachePolicy<Key> {
  const worths = new Map<Key, number>()
  let level = 0
  const worthOf = ({ key }: CacheItem<Key>) => worths.get(key) ?? 0
  return {
    used: (item) => void worths.set(item.key, level + item.cost / item.bytes),
    left: (key) => void worths.delete(key),
    choose(candidates, { bytes }) {
      const chosen = firstThatHold(orderedBy(candidates, worthOf), bytes)
      for (const key of chosen) level = Math.max(level, worths.get(key) ?? 0)
      return chosen
    },
  }
}
