/**
 * The books of a cache: what is in it, in which order it was used, and how many bytes that is. A policy says who leaves.
 *
 * Never holds more than `bytesMax`, and never lets go of what is pinned: a use that finds no room changes nothing. Holds keys and
 * sizes only; whoever owns the contents loads and frees them as `use` says. One writer; knows no clock.
 */
import assert from 'node:assert/strict'
import type { CacheItem, CachePolicy, Foresight } from './policy.ts'

export type Used<Key> =
  | { readonly kind: 'hit' }
  /** It came in; the caller frees what was evicted for it. */
  | { readonly kind: 'miss'; readonly evicted: readonly Key[] }
  /** It does not fit beside what is pinned. */
  | { readonly kind: 'no-room' }

export interface UseOptions<Key> extends Partial<Foresight<Key>> {
  /** What is in use elsewhere and must stay. */
  readonly isPinned?: (key: Key) => boolean
}

const nothing: readonly never[] = []

export class PolicyCache<Key> {
  readonly bytesMax: number
  readonly #policy: CachePolicy<Key>
  /** In order of last use, so that the first one is the least recently used. */
  readonly #items = new Map<Key, CacheItem<Key>>()
  #bytes = 0

  constructor(options: { readonly bytesMax: number; readonly policy: CachePolicy<Key> }) {
    this.bytesMax = options.bytesMax
    this.#policy = options.policy
  }

  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#items.size
  }

  has(key: Key): boolean {
    return this.#items.has(key)
  }

  /** Least recently used first. */
  items(): CacheItem<Key>[] {
    return [...this.#items.values()]
  }

  use(item: CacheItem<Key>, { upcoming = nothing, mayGo = false, isPinned = noneIsPinned }: UseOptions<Key> = {}) {
    assert(item.bytes > 0 && item.cost > 0, `an item of ${item.bytes} bytes that costs ${item.cost}`)
    const used = this.#items.has(item.key) ? this.#hit(item) : this.#bringIn(item, upcoming, isPinned)
    if (used.kind !== 'no-room') this.#policy.used(item, { upcoming, mayGo })
    return used
  }

  /** For what its owner drops; an eviction needs no such call. */
  remove(key: Key): void {
    const item = this.#items.get(key)
    if (item === undefined) return
    this.#items.delete(key)
    this.#bytes -= item.bytes
    this.#policy.left(key)
  }

  #hit(item: CacheItem<Key>): Used<Key> {
    assert.equal(this.#items.get(item.key)?.bytes, item.bytes, 'an item that grows is removed first')
    this.#items.delete(item.key)
    this.#items.set(item.key, item)
    return { kind: 'hit' }
  }

  #bringIn(item: CacheItem<Key>, upcoming: Iterable<Key>, isPinned: (key: Key) => boolean): Used<Key> {
    const evicted = this.#makeRoom(item.bytes, upcoming, isPinned)
    if (evicted === null) return { kind: 'no-room' }
    this.#items.set(item.key, item)
    this.#bytes += item.bytes
    return { kind: 'miss', evicted }
  }

  #makeRoom(bytes: number, upcoming: Iterable<Key>, isPinned: (key: Key) => boolean): readonly Key[] | null {
    const lacking = this.#bytes + bytes - this.bytesMax
    if (lacking <= 0) return nothing
    const candidates = this.items().filter(({ key }) => !isPinned(key))
    const freeable = candidates.reduce((sum, candidate) => sum + candidate.bytes, 0)
    if (freeable < lacking) return null
    const chosen = this.#policy.choose(candidates, { bytes: lacking, upcoming })
    for (const key of chosen) {
      assert(this.#items.has(key) && !isPinned(key), 'a policy chose what is not a candidate')
      this.remove(key)
    }
    assert(this.#bytes + bytes <= this.bytesMax, 'a policy chose too little')
    return chosen
  }
}

const noneIsPinned = () => false
