/**
 * A grammar (GBNF) that follows one sequence. Owns a native sampler and keeps the model alive.
 *
 * llama.cpp ends the process when it accepts a token the grammar forbids, and cannot be stopped while it follows an unwieldy
 * grammar. So the text is bounded before it is parsed (`gbnfBounds.ts`), and every accepted token is checked first.
 */
import assert from 'node:assert/strict'
import koffi from 'koffi'
import { Failure } from '#contracts/failure.ts'
import type { GrammarMatcher } from '../modelRunner.ts'
import { checkGrammarBounds } from './gbnfBounds.ts'
import { type Hold, Lifetime } from './hold.ts'
import { tokenDataArrayBytes, tokenDataBytes } from './layout.ts'
import type { NativeModel } from './nativeModel.ts'
import type { Address, SamplerHandle } from './symbols.ts'

/** Candidates in native memory for `llama_sampler_apply`: a `llama_token_data_array` and its data. One per runner, used by one call at a time; grammars hold it. */
export class Candidates implements Disposable {
  readonly #array: { address: Address; view: DataView }
  readonly #data: { address: Address; tokens: Int32Array; logits: Float32Array }
  readonly #lifetime = new Lifetime(() => this.#free())
  readonly #words = tokenDataBytes / Int32Array.BYTES_PER_ELEMENT

  constructor(count: number) {
    const array = allocate(tokenDataArrayBytes)
    const data = allocate(count * tokenDataBytes)
    this.#array = { address: array.address, view: new DataView(array.buffer) }
    this.#data = {
      address: data.address,
      tokens: new Int32Array(data.buffer),
      logits: new Float32Array(data.buffer),
    }
  }

  /** Sets candidate `index` to be applied. */
  set(index: number, token: number): void {
    this.#data.tokens[index * this.#words] = token
    this.#data.logits[index * this.#words + 1] = 0
  }

  token(index: number): number {
    return this.#data.tokens[index * this.#words] ?? 0
  }

  isForbidden(index: number): boolean {
    return this.#data.logits[index * this.#words + 1] === Number.NEGATIVE_INFINITY
  }

  /** The address of an array of the first `count` candidates. */
  first(count: number): Address {
    const { view, address } = this.#array
    view.setBigUint64(0, this.#data.address, true)
    view.setBigUint64(8, BigInt(count), true)
    view.setBigInt64(16, -1n, true)
    view.setUint8(24, 0)
    return address
  }

  hold(): Hold {
    return this.#lifetime.hold()
  }

  [Symbol.dispose](): void {
    this.#lifetime[Symbol.dispose]()
  }

  #free(): void {
    koffi.free(this.#array.address)
    koffi.free(this.#data.address)
  }
}

export class NativeGrammar implements GrammarMatcher {
  readonly #model: NativeModel
  readonly #sampler: SamplerHandle
  readonly #candidates: Candidates
  readonly #parents: readonly Hold[]
  #disposed = false

  private constructor(model: NativeModel, sampler: SamplerHandle, candidates: Candidates, parents: readonly Hold[]) {
    this.#model = model
    this.#sampler = sampler
    this.#candidates = candidates
    this.#parents = parents
  }

  static open(model: NativeModel, gbnf: string, candidates: Candidates): NativeGrammar {
    checkGrammarBounds(gbnf)
    const parents = [model.hold(), candidates.hold()]
    const sampler = model.library.symbols.grammarOpen(model.vocabulary, gbnf, 'root')
    if (sampler !== null) return new NativeGrammar(model, sampler, candidates, parents)
    for (const parent of parents) parent.release()
    throw new Failure(
      'invalid-request',
      'the grammar does not parse: it needs a rule "root", defined rules and no left recursion',
    )
  }

  allows(token: number): boolean {
    this.#assertOpen()
    this.#candidates.set(0, token)
    this.#model.library.symbols.samplerApply(this.#sampler, this.#candidates.first(1))
    return !this.#candidates.isForbidden(0)
  }

  mask(logits: Float32Array): void {
    this.#assertOpen()
    let count = 0
    // What is already out need not be tried against the grammar.
    for (let token = 0; token < logits.length; token++) {
      if (logits[token] !== Number.NEGATIVE_INFINITY) this.#candidates.set(count++, token)
    }
    if (count === 0) return
    this.#model.library.symbols.samplerApply(this.#sampler, this.#candidates.first(count))
    for (let i = 0; i < count; i++) {
      if (this.#candidates.isForbidden(i)) logits[this.#candidates.token(i)] = Number.NEGATIVE_INFINITY
    }
  }

  accept(token: number): void {
    assert(this.allows(token), `token ${token} is outside the grammar`)
    this.#model.library.symbols.samplerAccept(this.#sampler, token)
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#model.library.symbols.samplerFree(this.#sampler)
    for (const parent of this.#parents) parent.release()
  }

  #assertOpen(): void {
    assert(!this.#disposed, 'the grammar is disposed')
  }
}

function allocate(bytes: number): { address: Address; buffer: ArrayBuffer } {
  const address: unknown = koffi.alloc('uint8_t', bytes)
  assert(typeof address === 'bigint', 'native memory is exhausted')
  return { address, buffer: koffi.view(address, bytes) }
}
