/**
 * Text to tokens and back through a model's vocabulary. Pieces are cached: each is asked for once per process, not once per token.
 */
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { Failure } from '#contracts/failure.ts'
import type { NativeModel } from './nativeModel.ts'

/** llama.cpp answers this where the number of tokens does not fit its counter. */
const tooMany = -0x8000_0000

export class Vocabulary {
  readonly size: number
  readonly endOfGeneration: readonly number[]
  readonly #model: NativeModel
  readonly #ends: ReadonlySet<number>
  readonly #pieces: (Uint8Array | undefined)[] = []
  #buffer = new Int32Array(1_024)
  #piece = Buffer.alloc(256)

  constructor(model: NativeModel) {
    const { symbols } = model.library
    this.#model = model
    this.size = symbols.vocabularySize(model.vocabulary)
    const handle = model.vocabulary
    this.endOfGeneration = Array.from({ length: this.size }, (_, token) => token).filter((token) =>
      symbols.isEndOfGeneration(handle, token),
    )
    this.#ends = new Set(this.endOfGeneration)
  }

  isEndOfGeneration(token: number): boolean {
    this.#assertToken(token)
    return this.#ends.has(token)
  }

  get beginToken(): number | null {
    return orNull(this.#model.library.symbols.beginToken(this.#model.vocabulary))
  }

  get endToken(): number | null {
    return orNull(this.#model.library.symbols.endToken(this.#model.vocabulary))
  }

  tokenize(text: string, options: { parseSpecial: boolean; addBegin: boolean }): number[] {
    // As bytes: a koffi string would end at the first NUL character.
    const bytes = Buffer.from(text, 'utf8')
    let count = this.#tokenizeInto(bytes, options)
    if (count < 0) {
      this.#buffer = new Int32Array(-count)
      count = this.#tokenizeInto(bytes, options)
      assert(count >= 0, 'llama.cpp asked for more room twice')
    }
    return Array.from(this.#buffer.subarray(0, count))
  }

  #tokenizeInto(bytes: Buffer, options: { parseSpecial: boolean; addBegin: boolean }): number {
    const { symbols } = this.#model.library
    const { vocabulary } = this.#model
    const room = this.#buffer.length
    const count = symbols.tokenize(
      vocabulary,
      bytes,
      bytes.length,
      this.#buffer,
      room,
      options.addBegin,
      options.parseSpecial,
    )
    if (count === tooMany) throw new Failure('context-exceeded', `a text of ${bytes.length} bytes has too many tokens`)
    return count
  }

  pieceOf(token: number): Uint8Array {
    this.#assertToken(token)
    return (this.#pieces[token] ??= Uint8Array.from(this.#readPiece(token, false)))
  }

  specialText(token: number): string {
    this.#assertToken(token)
    return this.#readPiece(token, true).toString('utf8')
  }

  #readPiece(token: number, special: boolean): Buffer {
    const { symbols } = this.#model.library
    const read = () => symbols.tokenToPiece(this.#model.vocabulary, token, this.#piece, this.#piece.length, 0, special)
    let length = read()
    if (length < 0) {
      this.#piece = Buffer.alloc(-length)
      length = read()
      assert(length >= 0, 'llama.cpp asked for more room twice')
    }
    return this.#piece.subarray(0, length)
  }

  #assertToken(token: number): void {
    assert(this.isToken(token), `token ${token} of ${this.size}`)
  }

  isToken(token: number): boolean {
    return Number.isInteger(token) && token >= 0 && token < this.size
  }
}

function orNull(token: number): number | null {
  return token < 0 ? null : token
}
