/** For tests: traces of items of one size, run through a policy. */
import { seeded } from '../seeded.ts'
import { PolicyCache } from './cache.ts'
import type { CachePolicy } from './policy.ts'

export function missesOf<Key>(
  trace: readonly Key[],
  capacity: number,
  policy: CachePolicy<Key>,
  bits: readonly boolean[] = [],
): number {
  const cache = new PolicyCache({ bytesMax: capacity, policy })
  let misses = 0
  for (const [i, key] of trace.entries()) {
    const used = cache.use({ key, bytes: 1, cost: 1 }, { upcoming: trace.slice(i + 1), mayGo: bits[i] ?? false })
    if (used.kind === 'miss') misses += 1
  }
  return misses
}

export function randomTrace(seed: number, { keys, length }: { keys: number; length: number }): number[] {
  const uniform = seeded(seed)
  return Array.from({ length }, () => Math.floor(uniform() * keys))
}
