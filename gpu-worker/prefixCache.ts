/**
 * Sequence states in host memory, by the tokens they stand for: the bytes that `core/prefixCache.ts` keeps an index of.
 *
 * Holds exactly the bytes that the index counts, never more than `bytesMax`; starts empty. A state is taken from the runner only
 * when it will be kept, because the copy alone costs about 1 ms per 500 tokens.
 */
import { limits } from '#contracts/limits.ts'
import type { Content, Owner } from './core/cells.ts'
import { PrefixIndex, type PrefixMatch } from './core/prefixCache.ts'

/** The tokens themselves, as an array of numbers. */
const bytesPerToken = 8

export class PrefixCache {
  readonly #index: PrefixIndex
  readonly #states = new Map<number, Uint8Array>()
  readonly #bytesMax: number

  constructor(options: { readonly bytesMax: number }) {
    this.#bytesMax = options.bytesMax
    this.#index = new PrefixIndex({
      bytesMax: options.bytesMax,
      entriesMax: options.bytesMax === 0 ? 0 : limits.worker.prefixCacheEntriesMax,
    })
  }

  get enabled(): boolean {
    return this.#bytesMax > 0
  }

  get bytesMax(): number {
    return this.#bytesMax
  }

  get bytes(): number {
    return this.#index.bytes
  }

  get size(): number {
    return this.#index.size
  }

  contents(): Content[] {
    return this.#index.contents()
  }

  find(owner: Owner, tokens: readonly number[]): PrefixMatch | null {
    return this.#index.find(owner, tokens)
  }

  /** The state under `key`; it counts as used. The caller only reads it. */
  use(key: number): Uint8Array | null {
    this.#index.touch(key)
    return this.#states.get(key) ?? null
  }

  /** Keeps what `take` returns, if a state of `bytes` is worth keeping and not contained in another one. */
  save(content: Content, state: { readonly bytes: number; take(): Uint8Array }): void {
    if (
      content.tokens.length < limits.worker.prefixTokensMin ||
      !this.#index.wants(content, state.bytes + bytesPerToken * content.tokens.length)
    )
      return
    const taken = state.take()
    const { key, dropped } = this.#index.add(content, taken.length + bytesPerToken * content.tokens.length)
    for (const old of dropped) this.#states.delete(old)
    this.#states.set(key, taken)
  }

  /** The runner did not take it. */
  drop(key: number): void {
    this.#index.remove(key)
    this.#states.delete(key)
  }
}
