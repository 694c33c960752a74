/**
 * Anybody may go: the baseline that needs no memory. An item's chance is its bytes per cost, so with equal costs per byte and equal
 * sizes all have the same.
 */
import { bytesPerCost, type CacheItem, type CachePolicy } from './policy.ts'

/** `uniform` gives numbers in [0, 1). */
export function atRandom<Key>(uniform: () => number): CachePolicy<Key> {
  return {
    used: () => undefined,
    left: () => undefined,
    choose: (candidates, { bytes }) => drawThatHold(candidates, bytes, uniform),
  }
}

/** Draws without putting back until the drawn ones hold so many bytes, or all are drawn. */
export function drawThatHold<Key>(candidates: readonly CacheItem<Key>[], bytes: number, uniform: () => number): Key[] {
  const left = [...candidates]
  const keys: Key[] = []
  for (let held = 0; held < bytes && left.length > 0; ) {
    const [drawn] = left.splice(drawOne(left, uniform()), 1)
    if (drawn === undefined) break
    keys.push(drawn.key)
    held += drawn.bytes
  }
  return keys
}

function drawOne(items: readonly CacheItem<unknown>[], point: number): number {
  const total = items.reduce((sum, item) => sum + bytesPerCost(item), 0)
  let left = point * total
  for (const [i, item] of items.entries()) {
    left -= bytesPerCost(item)
    if (left < 0) return i
  }
  return items.length - 1
}
