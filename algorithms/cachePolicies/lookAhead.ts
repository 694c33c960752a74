/**
 * Belady with the future that is known: who is needed last among the waiting requests goes first, and who is not needed at all
 * before that, least recently used first. With no request waiting this is LRU; with all that will ever come it is the optimum.
 *
 * Where items differ, what counts is the room that an item takes until its next use, for what it saves then: bytes × distance ÷
 * cost. (With different sizes the optimum is NP-hard; this is the greedy choice that is exact for equal ones.)
 * Keeps nothing. Work of a choice: the candidates, and at most `lookAheadMax` waiting requests.
 */
import { bytesPerCost, type CacheItem, type CachePolicy, firstThatHold, orderedBy } from './policy.ts'

export function lookAhead<Key>({ lookAheadMax }: { readonly lookAheadMax: number }): CachePolicy<Key> {
  return {
    used: () => undefined,
    left: () => undefined,
    choose: (candidates, { bytes, upcoming }) =>
      firstThatHold(lastNeededFirst(candidates, distances(candidates, upcoming, lookAheadMax)), bytes),
  }
}

/** How many uses away the next use of each candidate is; those that are not needed are left out. */
export function distances<Key>(
  candidates: readonly { readonly key: Key }[],
  upcoming: Iterable<Key>,
  lookAheadMax: number,
): Map<Key, number> {
  const missing = new Set(candidates.map(({ key }) => key))
  const found = new Map<Key, number>()
  let at = 0
  if (missing.size === 0 || lookAheadMax === 0) return found
  for (const key of upcoming) {
    at += 1
    if (missing.delete(key)) found.set(key, at)
    if (missing.size === 0 || at === lookAheadMax) break
  }
  return found
}

/** Candidates by how long they take room for nothing; equals stay in their order. */
export function lastNeededFirst<Key>(
  candidates: readonly CacheItem<Key>[],
  next: ReadonlyMap<Key, number>,
): CacheItem<Key>[] {
  return orderedBy(candidates, (item) => -bytesPerCost(item) * (next.get(item.key) ?? Number.POSITIVE_INFINITY))
}
