/**
 * The arrays of one `llama_batch`, allocated once in native memory and filled through views: a step allocates nothing.
 *
 * Owns that memory. A token has one sequence id, its slot's, and costs one write for it; rows of a tree have as many as paths go through
 * them, written to a place of their own. `struct` is valid until disposed and must not be changed elsewhere.
 */
import assert from 'node:assert/strict'
import koffi from 'koffi'
import type { BatchSpan } from '../modelRunner.ts'
import type { NativeStruct } from './layout.ts'
import type { Address } from './symbols.ts'

/** Where the rows of a tree stand and whose they are: the sequence ids of the engine, for each node those of all paths through it. */
export interface Branches {
  /** Of the tokens before the tree, which all paths continue. */
  readonly rootIds: readonly number[]
  readonly nodeIds: readonly (readonly number[])[]
  /** 1 for what follows the last token before the tree. */
  readonly depths: readonly number[]
}

export interface NativeSpan extends BatchSpan {
  /** Absent: one token after the other, all of them the slot's. */
  readonly branches?: Branches
}

export interface BatchOptions {
  /** Sequence ids that a token may carry. */
  readonly sequences: number
}

/** Rows of trees in one batch that may carry every id there is: as many as a tree has that uses them all up, and more. */
const branchedRowsMax = 128

export class NativeBatch implements Disposable {
  readonly struct: NativeStruct
  readonly tokensMax: number
  readonly #memory: Address[] = []
  readonly #tokens: Int32Array
  readonly #positions: Int32Array
  readonly #sequences: Int32Array
  readonly #counts: Int32Array
  readonly #pointers: BigUint64Array
  readonly #wanted: Int8Array
  /** Where `#sequences` and `#shared` begin. */
  readonly #sequencesAt: Address
  readonly #sharedAt: Address
  /** Sequence ids of rows that carry more than one, list after list. */
  readonly #shared: Int32Array
  #sharedCount = 0
  /** Rows whose pointer leads to `#shared` since the last batch. */
  readonly #branched: number[] = []
  /** Index in the batch of each row with logits. */
  readonly #rowIndex: Int32Array
  #rows = 0

  constructor(tokensMax: number, { sequences: sequencesMax }: BatchOptions) {
    this.tokensMax = tokensMax
    const words = (count: number) => this.#allocate(4 * count)
    const [tokens, positions, sequences, counts] = [
      words(tokensMax),
      words(tokensMax),
      words(tokensMax),
      words(tokensMax),
    ]
    const shared = words(branchedRowsMax * sequencesMax)
    const pointers = this.#allocate(8 * tokensMax)
    const wanted = this.#allocate(tokensMax)
    this.#tokens = new Int32Array(tokens.buffer)
    this.#positions = new Int32Array(positions.buffer)
    this.#sequences = new Int32Array(sequences.buffer)
    this.#counts = new Int32Array(counts.buffer).fill(1)
    this.#shared = new Int32Array(shared.buffer)
    this.#wanted = new Int8Array(wanted.buffer)
    this.#rowIndex = new Int32Array(tokensMax)
    this.#pointers = new BigUint64Array(pointers.buffer)
    this.#sequencesAt = sequences.address
    this.#sharedAt = shared.address
    for (let i = 0; i < tokensMax; i++) this.#pointToOwn(i)
    this.struct = {
      n_tokens: 0,
      token: tokens.address,
      embd: null,
      pos: positions.address,
      n_seq_id: counts.address,
      seq_id: pointers.address,
      logits: wanted.address,
    }
  }

  get rows(): number {
    return this.#rows
  }

  rowIndex(row: number): number {
    const index = this.#rowIndex[row]
    assert(row >= 0 && row < this.#rows && index !== undefined, `row ${row} of ${this.#rows}`)
    return index
  }

  fill(spans: readonly NativeSpan[]): void {
    let at = 0
    this.#rows = 0
    for (const row of this.#branched.splice(0)) this.#pointToOwn(row)
    this.#sharedCount = 0
    for (const { slot, position, tokens, logitsForLast, branches } of spans) {
      const firstWanted = tokens.length - logitsForLast
      const start = at
      for (let i = 0; i < tokens.length; i++) {
        this.#tokens[at] = tokens[i] ?? 0
        this.#positions[at] = position + i
        this.#sequences[at] = slot
        this.#wanted[at] = i < firstWanted ? 0 : 1
        if (i >= firstWanted) this.#rowIndex[this.#rows++] = at
        at++
      }
      if (branches !== undefined) this.#branch(start, tokens.length, branches)
    }
    assert(at <= this.tokensMax, `${at} tokens in a batch of ${this.tokensMax}`)
    this.struct['n_tokens'] = at
  }

  [Symbol.dispose](): void {
    for (const address of this.#memory.splice(0)) koffi.free(address)
  }

  /** Corrects what `fill` has written for a chain. */
  #branch(start: number, tokens: number, { rootIds, nodeIds, depths }: Branches): void {
    const known = tokens - nodeIds.length
    const trunk = (this.#positions[start] ?? 0) + known - 1
    const rootList = this.#write(rootIds)
    for (let i = 0; i < known; i++) this.#pointTo(start + i, rootList, rootIds.length)
    for (const [node, ids] of nodeIds.entries()) {
      this.#pointTo(start + known + node, this.#write(ids), ids.length)
      this.#positions[start + known + node] = trunk + (depths[node] ?? 1)
    }
  }

  /** Where the list stands now. */
  #write(ids: readonly number[]): Address {
    assert(this.#sharedCount + ids.length <= this.#shared.length, 'more sequence ids than a batch has room for')
    this.#shared.set(ids, this.#sharedCount)
    const address = this.#sharedAt + BigInt(4 * this.#sharedCount)
    this.#sharedCount += ids.length
    return address
  }

  #pointTo(row: number, list: Address, count: number): void {
    this.#pointers[row] = list
    this.#counts[row] = count
    this.#branched.push(row)
  }

  #pointToOwn(row: number): void {
    this.#pointers[row] = this.#sequencesAt + BigInt(4 * row)
    this.#counts[row] = 1
  }

  #allocate(bytes: number): { address: Address; buffer: ArrayBuffer } {
    const address: unknown = koffi.alloc('uint8_t', bytes)
    assert(typeof address === 'bigint', 'native memory is exhausted')
    this.#memory.push(address)
    return { address, buffer: koffi.view(address, bytes) }
  }
}
