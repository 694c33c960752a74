/**
 * The cells of the simulated cache: what tokens each slot holds, and whether more fit. Owns no time and no logits.
 *
 * Invariant: in the unified layout the sum over all slots never exceeds `cellsMax`; in the split one each slot has its own
 * `contextTokensMax`.
 */
import assert from 'node:assert/strict'
import type { BatchSpan, Slot } from '../modelRunner.ts'
import { noToken, windowLength } from './languageModel.ts'

const magic = 0x5041_4345
const headerBytes = 8

export interface CellsOptions {
  readonly slots: number
  readonly contextTokensMax: number
  readonly kvLayout: 'split' | 'unified'
  readonly cellsMax: number
}

export class Cells {
  readonly #options: CellsOptions
  readonly #held: number[][]
  #used = 0

  constructor(options: CellsOptions) {
    this.#options = options
    this.#held = Array.from({ length: options.slots }, () => [])
  }

  #of(slot: Slot): number[] {
    const held = this.#held[slot]
    assert(held !== undefined, `slot ${slot} is outside 0..${this.#options.slots - 1}`)
    return held
  }

  hasRoom(tokens: number): boolean {
    return this.#options.kvLayout === 'split' || this.#used + tokens <= this.#options.cellsMax
  }

  count(slot: Slot): number {
    return this.#of(slot).length
  }

  append(span: BatchSpan): void {
    const held = this.#of(span.slot)
    assert.equal(span.position, held.length, `slot ${span.slot} holds ${held.length} cells`)
    assert(held.length + span.tokens.length <= this.#options.contextTokensMax, `slot ${span.slot} is over its context`)
    for (const token of span.tokens) held.push(token)
    this.#used += span.tokens.length
  }

  /** Copies the window that ends with cell `end - 1` of `slot`. */
  window(slot: Slot, end: number, into: Int32Array, offset: number): void {
    fillWindow(this.#of(slot), end, into, offset)
  }

  truncate(slot: Slot, position: number): void {
    const held = this.#of(slot)
    assert(Number.isInteger(position) && position >= 0, `position ${position} is not a cell`)
    if (position >= held.length) return
    this.#used -= held.length - position
    held.length = position
  }

  bytes(slot: Slot): number {
    return headerBytes + this.#of(slot).length * Int32Array.BYTES_PER_ELEMENT
  }

  save(slot: Slot): Uint8Array {
    const held = this.#of(slot)
    const state = new Uint8Array(this.bytes(slot))
    const view = new DataView(state.buffer)
    view.setUint32(0, magic, true)
    view.setUint32(4, held.length, true)
    held.forEach((token, i) => view.setInt32(headerBytes + 4 * i, token, true))
    return state
  }

  restore(slot: Slot, state: Uint8Array): boolean {
    const held = this.#of(slot)
    assert.equal(held.length, 0, `slot ${slot} is not empty`)
    if (state.byteLength < headerBytes) return false
    const view = new DataView(state.buffer, state.byteOffset, state.byteLength)
    const count = view.getUint32(4, true)
    if (view.getUint32(0, true) !== magic || state.byteLength !== headerBytes + 4 * count) return false
    if (count > this.#options.contextTokensMax || !this.hasRoom(count)) return false
    for (let i = 0; i < count; i++) held.push(view.getInt32(headerBytes + 4 * i, true))
    this.#used += count
    return true
  }
}

/** The last `windowLength` tokens before `end`, with `noToken` where the sequence is shorter. */
export function fillWindow(history: readonly number[], end: number, into: Int32Array, offset: number): void {
  for (let i = 0; i < windowLength; i++) into[offset + i] = history[end - windowLength + i] ?? noToken
}
