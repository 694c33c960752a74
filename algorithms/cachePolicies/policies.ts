/** Every cache policy by its name, as a resource or a benchmark names it. */
import { limits } from '#contracts/limits.ts'
import { atRandom } from './atRandom.ts'
import { discard } from './discard.ts'
import { leastRecent } from './leastRecent.ts'
import { lookAhead } from './lookAhead.ts'
import { markAndPredict, markZero } from './mark.ts'
import type { CachePolicy } from './policy.ts'

export const cachePolicyNames = ['lru', 'random', 'look-ahead', 'discard', 'mark-zero', 'mark-and-predict'] as const
export type CachePolicyName = (typeof cachePolicyNames)[number]

/** `uniform` gives numbers in [0, 1), to the policies that draw. */
export function createCachePolicy<Key>(name: CachePolicyName, uniform: () => number): CachePolicy<Key> {
  switch (name) {
    case 'lru':
      return leastRecent()
    case 'random':
      return atRandom(uniform)
    case 'look-ahead':
      return lookAhead({ lookAheadMax: limits.experts.lookAheadRequestsMax })
    case 'discard':
      return discard()
    case 'mark-zero':
      return markZero(uniform)
    case 'mark-and-predict':
      return markAndPredict(uniform)
    default:
      return name satisfies never
  }
}
