/**
 * The arrays of one `llama_batch`, allocated once in native memory and filled through views: a step allocates nothing.
 *
 * Owns that memory. One sequence id per token. `struct` is valid until disposed and must not be changed elsewhere.
 */
import assert from 'node:assert/strict'
import koffi from 'koffi'
import type { BatchSpan } from '../modelRunner.ts'
import type { NativeStruct } from './layout.ts'
import type { Address } from './symbols.ts'

export class NativeBatch implements Disposable {
  readonly struct: NativeStruct
  readonly tokensMax: number
  readonly #memory: Address[] = []
  readonly #tokens: Int32Array
  readonly #positions: Int32Array
  readonly #sequences: Int32Array
  readonly #wanted: Int8Array
  /** Index in the batch of each row with logits. */
  readonly #rowIndex: Int32Array
  #rows = 0

  constructor(tokensMax: number) {
    this.tokensMax = tokensMax
    const words = (count: number) => this.#allocate(4 * count)
    const [tokens, positions, sequences, counts] = [
      words(tokensMax),
      words(tokensMax),
      words(tokensMax),
      words(tokensMax),
    ]
    const pointers = this.#allocate(8 * tokensMax)
    const wanted = this.#allocate(tokensMax)
    this.#tokens = new Int32Array(tokens.buffer)
    this.#positions = new Int32Array(positions.buffer)
    this.#sequences = new Int32Array(sequences.buffer)
    this.#wanted = new Int8Array(wanted.buffer)
    this.#rowIndex = new Int32Array(tokensMax)
    new Int32Array(counts.buffer).fill(1)
    const sequencePointers = new BigUint64Array(pointers.buffer)
    for (let i = 0; i < tokensMax; i++) sequencePointers[i] = sequences.address + BigInt(4 * i)
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

  fill(spans: readonly BatchSpan[]): void {
    let at = 0
    this.#rows = 0
    for (const { slot, position, tokens, logitsForLast } of spans) {
      const firstWanted = tokens.length - logitsForLast
      for (let i = 0; i < tokens.length; i++) {
        this.#tokens[at] = tokens[i] ?? 0
        this.#positions[at] = position + i
        this.#sequences[at] = slot
        this.#wanted[at] = i < firstWanted ? 0 : 1
        if (i >= firstWanted) this.#rowIndex[this.#rows++] = at
        at++
      }
    }
    assert(at <= this.tokensMax, `${at} tokens in a batch of ${this.tokensMax}`)
    this.struct['n_tokens'] = at
  }

  [Symbol.dispose](): void {
    for (const address of this.#memory.splice(0)) koffi.free(address)
  }

  #allocate(bytes: number): { address: Address; buffer: ArrayBuffer } {
    const address: unknown = koffi.alloc('uint8_t', bytes)
    assert(typeof address === 'bigint', 'native memory is exhausted')
    this.#memory.push(address)
    return { address, buffer: koffi.view(address, bytes) }
  }
}
