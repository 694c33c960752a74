/**
 * The two marking policies of "Paging with Succinct Predictions" (2210.02775): random, so that no sequence of requests can be made
 * against them, and steered by one predicted bit per use.
 *
 * `markZero` ("MARK0", discard bits): an item that may go is released at once, all others are marked. Released items go first
 * (they keep their place until it is needed, so a wrong bit may still be a hit), then unmarked ones at random.
 * `markAndPredict` (phase bits: will it be used in the next phase?): every use marks; among the unmarked those that may go first.
 * When nobody is unmarked a new phase begins, in which everybody is.
 */
import { drawThatHold } from './atRandom.ts'
import { type CacheItem, type CachePolicy, firstThatHold } from './policy.ts'

export function markZero<Key>(uniform: () => number): CachePolicy<Key> {
  const marked = new Set<Key>()
  const released = new Set<Key>()
  return {
    used({ key }, { mayGo }) {
      released.delete(key)
      marked.delete(key)
      if (mayGo) released.add(key)
      else marked.add(key)
    },
    left(key) {
      released.delete(key)
      marked.delete(key)
    },
    choose(candidates, { bytes }) {
      const first = candidates.filter(({ key }) => released.has(key))
      const chosen = firstThatHold(first, bytes)
      const rest = candidates.filter(({ key }) => !released.has(key))
      return [...chosen, ...unmarkedThatHold(rest, bytes - bytesOf(candidates, chosen), marked, uniform)]
    },
  }
}

export function markAndPredict<Key>(uniform: () => number): CachePolicy<Key> {
  const marked = new Set<Key>()
  const going = new Set<Key>()
  return {
    used({ key }, { mayGo }) {
      marked.add(key)
      if (mayGo) going.add(key)
      else going.delete(key)
    },
    left(key) {
      marked.delete(key)
      going.delete(key)
    },
    choose(candidates, { bytes }) {
      const draw = (items: readonly CacheItem<Key>[], lacking: number) => {
        const first = drawThatHold(items.filter(isGoing), lacking, uniform)
        const rest = items.filter((item) => !isGoing(item))
        return [...first, ...drawThatHold(rest, lacking - bytesOf(items, first), uniform)]
      }
      const isGoing = ({ key }: CacheItem<Key>) => going.has(key)
      return inPhases(candidates, bytes, marked, draw)
    },
  }
}

function unmarkedThatHold<Key>(
  candidates: readonly CacheItem<Key>[],
  bytes: number,
  marked: Set<Key>,
  uniform: () => number,
): Key[] {
  return inPhases(candidates, bytes, marked, (items, lacking) => drawThatHold(items, lacking, uniform))
}

/** From the unmarked; where they do not hold enough, all marks are taken away and the rest comes from what was marked. */
function inPhases<Key>(
  candidates: readonly CacheItem<Key>[],
  bytes: number,
  marked: Set<Key>,
  draw: (items: readonly CacheItem<Key>[], bytes: number) => Key[],
): Key[] {
  if (bytes <= 0) return []
  const chosen = draw(
    candidates.filter(({ key }) => !marked.has(key)),
    bytes,
  )
  const lacking = bytes - bytesOf(candidates, chosen)
  if (lacking <= 0) return chosen
  const others = candidates.filter(({ key }) => marked.has(key))
  marked.clear()
  return [...chosen, ...draw(others, lacking)]
}

function bytesOf<Key>(items: readonly CacheItem<Key>[], keys: readonly Key[]): number {
  const wanted = new Set(keys)
  return items.reduce((sum, item) => sum + (wanted.has(item.key) ? item.bytes : 0), 0)
}
