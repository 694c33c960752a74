/**
 * Who holds which slot of the runner, and what the cells of a free slot still contain.
 *
 * A slot is held by one sequence, or free. The cells of a free slot may keep an ended sequence's tokens ("resident"): a later
 * request that starts with the same tokens goes on from there. Residents cost nothing in the split layout and are never kept in
 * the unified one, where every cell in use slows every row. Knows nothing of the runner: whoever changes this changes the cells too.
 */
import assert from 'node:assert/strict'
import type { TenantId } from '#contracts/ids.ts'
import type { Slot } from '../modelRunner.ts'
import type { Sequence } from './sequence.ts'

/** Who may reuse what was computed: no other tenant, and, because an adapter changes every cell, nobody under another expert. */
export interface Owner {
  readonly tenant: TenantId
  /** null: the model as it is. */
  readonly expert: string | null
}

export const isSameOwner = (a: Owner, b: Owner): boolean => a.tenant === b.tenant && a.expert === b.expert

/** Tokens whose states stand in cells or in host memory. */
export interface Content extends Owner {
  readonly tokens: readonly number[]
  /** For the report: routers recognise prompts by these (`algorithms/prefixDigest.ts`), shortest prefix first. */
  readonly digests: readonly string[]
}

export type SlotState =
  | { readonly kind: 'empty' }
  | { readonly kind: 'resident'; readonly content: Content }
  | ({ readonly kind: 'held' } & Held)

export interface Held {
  readonly sequence: Sequence
  readonly owner: Owner
  /** Of its prompt. */
  readonly digests: readonly string[]
}

const empty: SlotState = { kind: 'empty' }

export class SlotTable {
  readonly #slots: SlotState[]

  constructor(slots: number) {
    this.#slots = Array.from({ length: slots }, () => empty)
  }

  get total(): number {
    return this.#slots.length
  }

  get heldCount(): number {
    return this.#slots.reduce((count, slot) => count + (slot.kind === 'held' ? 1 : 0), 0)
  }

  /** Cells of sequences that hold slots; what residents keep is free for the taking. */
  get cellsUsed(): number {
    return this.#slots.reduce((sum, slot) => sum + (slot.kind === 'held' ? slot.sequence.computed : 0), 0)
  }

  at(slot: Slot): SlotState {
    const state = this.#slots[slot]
    assert(state !== undefined, `slot ${slot} of ${this.#slots.length}`)
    return state
  }

  entries(): readonly SlotState[] {
    return this.#slots
  }

  /** Free slots, lowest first: running sequences belong in 0..B-1 without gaps. */
  free(): Slot[] {
    return this.#slots.flatMap((slot, index) => (slot.kind === 'held' ? [] : [index]))
  }

  hold(slot: Slot, held: Held): void {
    assert.notEqual(this.at(slot).kind, 'held', `slot ${slot} is held`)
    this.#slots[slot] = { kind: 'held', ...held }
  }

  /** The slot is free; `content` says what its cells still hold. */
  release(slot: Slot, content: Content | null): void {
    assert.equal(this.at(slot).kind, 'held', `slot ${slot} is not held`)
    this.#slots[slot] = content === null || content.tokens.length === 0 ? empty : { kind: 'resident', content }
  }

  /** The cells of a free slot were removed. */
  clear(slot: Slot): void {
    assert.notEqual(this.at(slot).kind, 'held', `slot ${slot} is held`)
    this.#slots[slot] = empty
  }
}
