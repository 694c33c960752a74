/**
 * Which experts an engine loads, lets go and brings in ahead of time, when it knows who waits: Belady's rule over the queued requests
 * (`cachePolicies/lookAhead.ts`), and prefetch only where it costs nobody anything.
 *
 * A pure function of a snapshot. Never lets go of an expert that the coming batch needs or that is in use; an expert that is needed
 * soon is never let go for one that is fetched ahead.
 */
import { limits } from '#contracts/limits.ts'
import { distances, lastNeededFirst } from './cachePolicies/lookAhead.ts'
import { type CacheItem, firstThatHold } from './cachePolicies/policy.ts'

export interface ResidenceSnapshot<Expert> {
  /** What the coming batch needs, in this order. */
  readonly needed: readonly CacheItem<Expert>[]
  /** Least recently used first. */
  readonly resident: readonly CacheItem<Expert>[]
  readonly bytesMax: number
  /** What is running and must stay. */
  readonly isInUse: (expert: Expert) => boolean
  /** What requests that wait behind the batch need, in the order in which they wait. */
  readonly upcoming: readonly CacheItem<Expert>[]
  readonly prefetchMax: number
}

export interface ResidencePlan<Expert> {
  /** To be done in this order: first what goes, then what comes. */
  readonly evict: readonly Expert[]
  readonly load: readonly Expert[]
  /** Needed, but there is no room beside what is in use and what is needed before it. */
  readonly postponed: readonly Expert[]
  /** To be loaded while the batch runs, the one that is needed next first. */
  readonly prefetch: readonly { readonly load: Expert; readonly evict: readonly Expert[] }[]
}

export function planResidence<Expert>(snapshot: ResidenceSnapshot<Expert>): ResidencePlan<Expert> {
  const upcoming = snapshot.upcoming.slice(0, limits.experts.lookAheadRequestsMax)
  const books = new Books(snapshot, upcoming)
  const postponed: Expert[] = []
  const evict: Expert[] = []
  const load: Expert[] = []
  for (const item of snapshot.needed) {
    if (books.holds(item.key)) continue
    const evicted = books.bringIn(item, 'whoever-is-needed-last')
    if (evicted === null) {
      postponed.push(item.key)
      continue
    }
    load.push(item.key)
    evict.push(...evicted)
  }
  return { evict, load, postponed, prefetch: prefetches(books, upcoming, snapshot.prefetchMax) }
}

function prefetches<Expert>(
  books: Books<Expert>,
  upcoming: readonly CacheItem<Expert>[],
  prefetchMax: number,
): ResidencePlan<Expert>['prefetch'] {
  const planned: { load: Expert; evict: readonly Expert[] }[] = []
  for (const item of upcoming) {
    if (planned.length >= prefetchMax) break
    if (books.holds(item.key)) continue
    const evict = books.bringIn(item, 'only-who-is-not-needed')
    // What is needed sooner has a claim to the room that comes free next.
    if (evict === null) break
    planned.push({ load: item.key, evict })
  }
  return planned
}

/** Who is in, while the plan is made. */
class Books<Expert> {
  readonly #items: Map<Expert, CacheItem<Expert>>
  readonly #staying: Set<Expert>
  readonly #snapshot: ResidenceSnapshot<Expert>
  readonly #next: ReadonlyMap<Expert, number>
  #bytes: number

  constructor(snapshot: ResidenceSnapshot<Expert>, upcoming: readonly CacheItem<Expert>[]) {
    this.#snapshot = snapshot
    this.#items = new Map(snapshot.resident.map((item) => [item.key, item]))
    this.#staying = new Set(snapshot.needed.map(({ key }) => key))
    this.#bytes = snapshot.resident.reduce((sum, item) => sum + item.bytes, 0)
    const keys = upcoming.map(({ key }) => key)
    this.#next = distances(snapshot.resident, keys, keys.length)
  }

  holds(expert: Expert): boolean {
    return this.#items.has(expert)
  }

  /** Who goes for it; null where it must not or cannot come in. */
  bringIn(
    item: CacheItem<Expert>,
    from: 'whoever-is-needed-last' | 'only-who-is-not-needed',
  ): readonly Expert[] | null {
    const lacking = this.#bytes + item.bytes - this.#snapshot.bytesMax
    const candidates = [...this.#items.values()].filter(
      ({ key }) =>
        !this.#staying.has(key) &&
        !this.#snapshot.isInUse(key) &&
        (from === 'whoever-is-needed-last' || !this.#next.has(key)),
    )
    if (candidates.reduce((sum, { bytes }) => sum + bytes, 0) < lacking) return null
    const evicted = firstThatHold(lastNeededFirst(candidates, this.#next), lacking)
    for (const key of evicted) this.#remove(key)
    this.#items.set(item.key, item)
    this.#staying.add(item.key)
    this.#bytes += item.bytes
    return evicted
  }

  #remove(key: Expert): void {
    this.#bytes -= this.#items.get(key)?.bytes ?? 0
    this.#items.delete(key)
  }
}
