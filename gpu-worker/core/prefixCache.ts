/**
 * Index of saved sequence states: which one shares the longest prefix with a prompt, and which ones must go.
 *
 * Compares tokens, never digests, and only for one tenant and expert. Bounded in bytes and entries, least recently used first. Holds no
 * states: the shell keeps them under the key given here and drops what this returns.
 */
import { type Content, isSameOwner, type Owner } from './cells.ts'

export interface PrefixMatch {
  readonly key: number
  /** Tokens shared with the prompt, from the first on. */
  readonly length: number
}

interface Entry {
  readonly key: number
  readonly content: Content
  readonly bytes: number
  usedAt: number
}

export class PrefixIndex {
  readonly #entries = new Map<number, Entry>()
  readonly #bounds: { readonly bytesMax: number; readonly entriesMax: number }
  #bytes = 0
  #nextKey = 0
  /** Counts uses; a clock would make equal times possible. */
  #uses = 0

  constructor(bounds: { readonly bytesMax: number; readonly entriesMax: number }) {
    this.#bounds = bounds
  }

  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#entries.size
  }

  /** Newest use first. */
  contents(): Content[] {
    return [...this.#entries.values()].sort((a, b) => b.usedAt - a.usedAt).map((entry) => entry.content)
  }

  find(owner: Owner, tokens: readonly number[]): PrefixMatch | null {
    let best: PrefixMatch | null = null
    for (const entry of this.#entries.values()) {
      if (!isSameOwner(entry.content, owner)) continue
      const length = sharedLength(entry.content.tokens, tokens)
      if (length > (best?.length ?? 0)) best = { key: entry.key, length }
    }
    return best
  }

  touch(key: number): void {
    const entry = this.#entries.get(key)
    if (entry !== undefined) entry.usedAt = ++this.#uses
  }

  /** Would a state of `bytes` be kept at all, and is it not contained in one that is? */
  wants(content: Content, bytes: number): boolean {
    if (bytes > this.#bounds.bytesMax || this.#bounds.entriesMax === 0) return false
    const match = this.find(content, content.tokens)
    if (match === null || match.length < content.tokens.length) return true
    this.touch(match.key)
    return false
  }

  /** The new entry's key, and the keys whose states must be dropped: those it contains, then the least recently used. */
  add(content: Content, bytes: number): { readonly key: number; readonly dropped: number[] } {
    const dropped = this.#containedIn(content)
    for (const key of dropped) this.remove(key)
    while (this.#bytes + bytes > this.#bounds.bytesMax || this.#entries.size >= this.#bounds.entriesMax) {
      const oldest = this.#leastRecentlyUsed()
      if (oldest === null) break
      this.remove(oldest)
      dropped.push(oldest)
    }
    const key = this.#nextKey++
    this.#entries.set(key, { key, content, bytes, usedAt: ++this.#uses })
    this.#bytes += bytes
    return { key, dropped }
  }

  remove(key: number): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= entry.bytes
  }

  #containedIn(content: Content): number[] {
    return [...this.#entries.values()]
      .filter(
        (entry) =>
          isSameOwner(entry.content, content) &&
          sharedLength(entry.content.tokens, content.tokens) === entry.content.tokens.length,
      )
      .map((entry) => entry.key)
  }

  #leastRecentlyUsed(): number | null {
    let oldest: Entry | null = null
    for (const entry of this.#entries.values()) if (oldest === null || entry.usedAt < oldest.usedAt) oldest = entry
    return oldest?.key ?? null
  }
}

/** How many tokens two sequences share from the first on. */
export function sharedLength(a: readonly number[], b: readonly number[]): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i
  return length
}
