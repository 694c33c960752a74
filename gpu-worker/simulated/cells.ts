/**
 * The cells of the simulated cache: what tokens each slot holds, and whether more fit. Owns no time and no logits. A tree of drafts
 * stands beside its slot's tokens until it is said which path of it stays.
 *
 * Invariant: in the unified layout the sum over all slots never exceeds `cellsMax`; in the split one each slot has its own
 * `contextTokensMax`.
 */
import assert from 'node:assert/strict'
import { pathOf, type TokenTree } from '../core/speculation/tokenTree.ts'
import { assertPath, type BatchSpan, type Slot } from '../modelRunner.ts'
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
  readonly #trees = new Map<Slot, TokenTree>()
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

  append({ slot, position, tokens, parents }: BatchSpan): void {
    const held = this.#of(slot)
    assert.equal(position, held.length, `slot ${slot} holds ${held.length} cells`)
    assert(held.length + tokens.length <= this.#options.contextTokensMax, `slot ${slot} is over its context`)
    const known = tokens.length - (parents?.length ?? 0)
    for (let i = 0; i < known; i++) held.push(tokens[i] ?? noToken)
    if (parents !== undefined) this.#trees.set(slot, { tokens: tokens.slice(known), parents, laws: null })
    this.#used += tokens.length
  }

  get hasTrees(): boolean {
    return this.#trees.size > 0
  }

  /** Copies the window that ends with cell `end - 1` of `slot`; cells behind its tokens are its tree's, each with its path before it. */
  window(slot: Slot, end: number, into: Int32Array, offset: number): void {
    const held = this.#of(slot)
    const tree = this.#trees.get(slot)
    if (tree === undefined || end <= held.length) return fillWindow(held, end, into, offset)
    const history = [...held.slice(-windowLength), ...pathOf(tree, end - held.length - 1)]
    fillWindow(history, history.length, into, offset)
  }

  /** All tokens before the place `end`. */
  history(slot: Slot, end: number): readonly number[] {
    const held = this.#of(slot)
    const tree = this.#trees.get(slot)
    return end <= held.length || tree === undefined
      ? held.slice(0, end)
      : [...held, ...pathOf(tree, end - held.length - 1)]
  }

  keepPath(slot: Slot, path: readonly number[]): void {
    const tree = this.#trees.get(slot)
    assert(tree !== undefined, `slot ${slot} has no tree`)
    assertPath(tree.parents, path)
    this.#dropTree(slot)
    for (const node of path) this.#of(slot).push(tree.tokens[node] ?? noToken)
    this.#used += path.length
  }

  #dropTree(slot: Slot): void {
    this.#used -= this.#trees.get(slot)?.tokens.length ?? 0
    this.#trees.delete(slot)
  }

  truncate(slot: Slot, position: number): void {
    const held = this.#of(slot)
    assert(Number.isInteger(position) && position >= 0, `position ${position} is not a cell`)
    assert(!this.#trees.has(slot) || position <= held.length, `slot ${slot} is cut at ${position} inside of its tree`)
    this.#dropTree(slot)
    if (position >= held.length) return
    this.#used -= held.length - position
    held.length = position
  }

  bytes(slot: Slot): number {
    assert(!this.#trees.has(slot), `what stays of the tree in slot ${slot} has not been said`)
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
