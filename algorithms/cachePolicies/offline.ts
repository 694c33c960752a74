/**
 * What could have been done with a trace that is over: the fewest misses with items of one size, and the bits that a perfect
 * predictor would have given. What a predictor is trained on, and what a policy is measured against.
 */
export interface OfflineOptimum {
  readonly misses: number
  /** For each use: did the optimum let the item go before its next use? */
  readonly discardBits: readonly boolean[]
}

/** Belady: on a miss whoever is used again last leaves, least recently used first where several never are. */
export function offlineOptimum<Key>(trace: readonly Key[], capacity: number): OfflineOptimum {
  const next = nextUses(trace)
  const discardBits = trace.map(() => false)
  /** Last use of each item in the cache, in order of last use. */
  const lastUse = new Map<Key, number>()
  let misses = 0
  for (const [now, key] of trace.entries()) {
    if (!lastUse.delete(key)) {
      misses += 1
      if (lastUse.size === capacity) evictLastNeeded(lastUse, next, discardBits)
    }
    lastUse.set(key, now)
  }
  return { misses, discardBits }
}

function evictLastNeeded<Key>(lastUse: Map<Key, number>, next: readonly number[], discardBits: boolean[]): void {
  let victim: { key: Key; usedAt: number } | null = null
  for (const [key, usedAt] of lastUse)
    if (victim === null || (next[usedAt] ?? 0) > (next[victim.usedAt] ?? 0)) victim = { key, usedAt }
  if (victim === null) return
  discardBits[victim.usedAt] = true
  lastUse.delete(victim.key)
}

/**
 * For each use: is the item not used in the phase after this one? A phase is as long a stretch as holds no more different items
 * than the cache.
 */
export function phaseBits<Key>(trace: readonly Key[], capacity: number): boolean[] {
  const phases: { readonly keys: Set<Key>; length: number }[] = []
  for (const key of trace) {
    const current = phases.at(-1)
    if (current !== undefined && (current.keys.has(key) || current.keys.size < capacity)) {
      current.keys.add(key)
      current.length += 1
    } else phases.push({ keys: new Set([key]), length: 1 })
  }
  let at = 0
  return phases.flatMap(({ length }, i) => {
    const following = phases[i + 1]?.keys ?? new Set()
    const bits = trace.slice(at, at + length).map((key) => !following.has(key))
    at += length
    return bits
  })
}

/** Where each item is used again; infinity where it is not. */
function nextUses<Key>(trace: readonly Key[]): number[] {
  const next = trace.map(() => Number.POSITIVE_INFINITY)
  const seen = new Map<Key, number>()
  for (let i = trace.length - 1; i >= 0; i--) {
    const key = trace[i]
    if (key === undefined) continue
    next[i] = seen.get(key) ?? Number.POSITIVE_INFINITY
    seen.set(key, i)
  }
  return next
}
