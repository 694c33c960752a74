/**
 * Deterministic paging with discard bits ("Paging with Succinct Predictions", 2210.02775): whoever was predicted to go, goes; where
 * nobody was, everybody does, because a full cache of wrong zeros must not stay.
 *
 * With c wrong bits "keep" and d wrong bits "may go" it costs at most OPT + (k − 1)·c + d for k items of one size.
 */
import { bytesPerCost, type CachePolicy, firstThatHold, orderedBy } from './policy.ts'

export function discard<Key>(): CachePolicy<Key> {
  const going = new Set<Key>()
  return {
    used: ({ key }, { mayGo }) => void (mayGo ? going.add(key) : going.delete(key)),
    left: (key) => void going.delete(key),
    choose(candidates, { bytes }) {
      const first = orderedBy(
        candidates.filter(({ key }) => going.has(key)),
        (item) => -bytesPerCost(item),
      )
      const held = first.reduce((sum, item) => sum + item.bytes, 0)
      return held >= bytes ? firstThatHold(first, bytes) : candidates.map(({ key }) => key)
    },
  }
}
