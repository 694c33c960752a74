/**
 * Puts sequences into slots of the runner, with as much of their prompt as somebody already computed, and takes them out again.
 *
 * Sole owner of the slot table, the prefix cache and the runner's cells outside of a decode; must never run during one. A prefix
 * comes from the slot itself (free), the cache in host memory, or another slot (a copy); always compared by tokens and only within
 * one tenant and expert. What an ended sequence computed stays in its slot until somebody else needs that, and is saved then.
 */
import { prefixEnds } from '#algorithms/prefixDigest.ts'
import { limits } from '#contracts/limits.ts'
import { type Content, type Held, isSameOwner, type Owner, type SlotState, SlotTable } from './core/cells.ts'
import { sharedLength } from './core/prefixCache.ts'
import type { Move, SlotView } from './core/scheduler.ts'
import { enterSlot, moveTo, preempt, type Sequence, slotOf } from './core/sequence.ts'
import type { ModelRunner, Slot } from './modelRunner.ts'
import type { PrefixCache } from './prefixCache.ts'

type Source =
  | { readonly kind: 'none' }
  | { readonly kind: 'in-place'; readonly length: number }
  | { readonly kind: 'slot'; readonly slot: Slot; readonly length: number }
  | { readonly kind: 'cache'; readonly key: number; readonly length: number }

export interface PlaceRequest extends Held {
  /** Choices of the same request: their cells may be copied even where prefixes are not shared between requests. */
  readonly siblings: readonly Sequence[]
}

export class Placement {
  readonly slots: SlotTable
  readonly #runner: ModelRunner
  readonly #cache: PrefixCache
  readonly #keepsResidents: boolean
  readonly #copies: boolean

  constructor(options: { readonly runner: ModelRunner; readonly cache: PrefixCache }) {
    this.#runner = options.runner
    this.#cache = options.cache
    this.slots = new SlotTable(options.runner.info.slots)
    this.#copies = options.runner.info.capabilities.sequenceState
    this.#keepsResidents = options.cache.enabled && options.runner.info.kvLayout === 'split'
  }

  /** What holds slots now, for the scheduler. */
  views(): SlotView[] {
    return this.slots.entries().flatMap((state, slot) => {
      if (state.kind !== 'held') return []
      const { number, computed, tokens } = state.sequence
      return [{ slot, number, computed, length: tokens.length }]
    })
  }

  /** Into the lowest free slot; returns how many tokens need not be computed. The caller knows that a slot is free. */
  place(slot: Slot, request: PlaceRequest): number {
    const { sequence, owner, digests } = request
    const source = this.#findPrefix(slot, request)
    const computed = this.#bring(slot, source)
    this.slots.hold(slot, { sequence, owner, digests })
    enterSlot(sequence, { slot, computed })
    return computed
  }

  /** The sequence has ended or lost its turn. `content` (null: nothing worth it) says what its cells hold. */
  release(sequence: Sequence, content: Content | null): void {
    const slot = slotOf(sequence)
    if (slot === null) return
    this.slots.release(slot, content)
    if (content === null || !this.#cache.enabled) this.#empty(slot)
    else if (!this.#keepsResidents) {
      this.#save(slot, content)
      this.#empty(slot)
    }
  }

  /** `content`: what may be worth keeping until its next turn. */
  preempt(sequence: Sequence, content: Content | null = null): void {
    this.release(sequence, content)
    preempt(sequence)
  }

  move({ from, to }: Move): void {
    const state = this.slots.at(from)
    if (state.kind !== 'held' || !this.#copies) return
    this.#evict(to, 0)
    this.#empty(to)
    const cells = this.#runner.saveSequence(from)
    if (!this.#runner.restoreSequence(to, cells)) return
    this.slots.release(from, null)
    this.#empty(from)
    this.slots.hold(to, state)
    moveTo(state.sequence, to)
  }

  /** Every free slot is empty afterwards: for what needs the whole runner while nothing runs. */
  clearResidents(): void {
    for (const slot of this.slots.free()) {
      this.#evict(slot, 0)
      this.#empty(slot)
    }
  }

  /**
   * How much of what it begins with does somebody compute just now? Where that is something, it is sooner done by waiting for that and
   * copying it, and nobody's prompt is slowed down by a second one that is the same.
   */
  underWay({ sequence, owner }: Pick<Held, 'sequence' | 'owner'>): number {
    if (!this.#copies || !this.#cache.enabled) return 0
    const wanted = sequence.tokens.slice(0, -1)
    let shared = 0
    let there = 0
    for (const state of this.slots.entries()) {
      if (state.kind !== 'held' || !isSameOwner(state.owner, owner)) continue
      const length = sharedLength(state.sequence.tokens, wanted)
      shared = Math.max(shared, length)
      there = Math.max(there, Math.min(length, state.sequence.computed))
    }
    const gain = (known: number) => shared - known
    if (gain(there) < limits.worker.prefixTokensMin) return 0
    return gain(this.#kept(wanted, owner)) >= limits.worker.prefixTokensMin ? shared : 0
  }

  /** Will what these have computed be there again after a turn of others, who bring as much of their own? */
  keepsStates(sequences: readonly Sequence[]): boolean {
    if (!this.#copies || !this.#cache.enabled) return false
    const tokens = sequences.reduce((sum, { computed }) => sum + computed, 0)
    return 2 * tokens * this.#runner.info.bytesPerToken <= this.#cache.bytesMax
  }

  /** Of what ended sequences have left. */
  #kept(tokens: readonly number[], owner: Owner): number {
    let length = this.#cache.find(owner, tokens)?.length ?? 0
    for (const state of this.slots.entries())
      if (state.kind === 'resident' && isSameOwner(state.content, owner))
        length = Math.max(length, sharedLength(state.content.tokens, tokens))
    return length
  }

  /** Digests of prompts whose state can be reused, newest and longest first; one long prompt must not leave out all others. */
  digests(): string[] {
    const held = this.slots.entries().flatMap((state) => (isComputed(state) ? [state] : []))
    const residents = this.slots.entries().flatMap((state) => (state.kind === 'resident' ? [state.content] : []))
    const all = new Set<string>()
    for (const content of [...held, ...residents, ...this.#cache.contents()]) {
      for (const digest of prefixEnds(content.digests).toReversed()) all.add(digest)
      if (all.size >= limits.worker.prefixDigestsMax) break
    }
    return [...all].slice(0, limits.worker.prefixDigestsMax)
  }

  /** The longest prefix; a copy must be worth its time over what is there already. */
  #findPrefix(slot: Slot, { sequence, owner, siblings }: PlaceRequest): Source {
    // The last token is always computed: its row chooses the next one.
    const wanted = sequence.tokens.slice(0, -1)
    let best: Source = { kind: 'none' }
    let length = 0
    for (const [index, state] of this.slots.entries().entries()) {
      const known = this.#reusable(state, siblings)
      if (known === null || !isSameOwner(known, owner)) continue
      const shared = Math.min(known.computed, sharedLength(known.tokens, wanted))
      const isHere = index === slot
      if (!isHere && (!this.#copies || shared < length + limits.worker.prefixTokensMin)) continue
      if (shared <= length) continue
      best = isHere ? { kind: 'in-place', length: shared } : { kind: 'slot', slot: index, length: shared }
      length = shared
    }
    const cached = this.#copies ? this.#cache.find(owner, wanted) : null
    const gain = (cached?.length ?? 0) - length
    // From the cache one copy, from another slot two: at equal length the cache wins.
    const isWorth = best.kind === 'slot' ? gain >= 0 : gain >= limits.worker.prefixTokensMin
    return cached !== null && isWorth ? { kind: 'cache', key: cached.key, length: cached.length } : best
  }

  #reusable(
    state: ReturnType<SlotTable['at']>,
    siblings: readonly Sequence[],
  ): (Owner & { tokens: readonly number[]; computed: number }) | null {
    switch (state.kind) {
      case 'empty':
        return null
      case 'resident':
        return { ...state.content, computed: state.content.tokens.length }
      case 'held': {
        const isAllowed = this.#cache.enabled || siblings.includes(state.sequence)
        return isAllowed ? { ...state.sequence, ...state.owner } : null
      }
      default:
        return state satisfies never
    }
  }

  #bring(slot: Slot, source: Source): number {
    switch (source.kind) {
      case 'none':
        this.#evict(slot, 0)
        this.#empty(slot)
        return 0
      case 'in-place':
        this.#evict(slot, source.length)
        this.#runner.truncate(slot, source.length)
        this.slots.clear(slot)
        return source.length
      case 'slot':
        return this.#restore(slot, this.#runner.saveSequence(source.slot), source.length)
      case 'cache': {
        const state = this.#cache.use(source.key)
        const restored = state === null ? 0 : this.#restore(slot, state, source.length)
        if (restored === 0) this.#cache.drop(source.key)
        return restored
      }
      default:
        return source satisfies never
    }
  }

  #restore(slot: Slot, state: Uint8Array, length: number): number {
    this.#evict(slot, 0)
    this.#empty(slot)
    if (!this.#runner.restoreSequence(slot, state)) {
      this.#runner.truncate(slot, 0)
      return 0
    }
    this.#runner.truncate(slot, length)
    return length
  }

  /** Saves what a resident has beyond the first `kept` tokens, where that is worth it. */
  #evict(slot: Slot, kept: number): void {
    const state = this.slots.at(slot)
    if (state.kind !== 'resident' || !this.#copies) return
    if (state.content.tokens.length - kept >= limits.worker.prefixTokensMin) this.#save(slot, state.content)
  }

  #save(slot: Slot, content: Content): void {
    if (!this.#copies) return
    this.#cache.save(content, {
      bytes: this.#runner.sequenceBytes(slot),
      take: () => this.#runner.saveSequence(slot),
    })
  }

  #empty(slot: Slot): void {
    this.#runner.truncate(slot, 0)
    this.slots.clear(slot)
  }
}

/** Whoever begins alike may copy its cells, although it goes on. */
function isComputed(state: SlotState): state is Extract<SlotState, { kind: 'held' }> {
  return state.kind === 'held' && state.sequence.computed >= state.sequence.promptLength
}
