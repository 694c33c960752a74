/**
 * Embeddings from a second, small context over the same weights; made when the first is asked for.
 *
 * Rows are pooled here and not in llama.cpp: a text may then be computed in small pieces, and the row buffer stays small (it
 * holds a whole vocabulary's logits beside each embedding). Models whose tokens see later ones take each text in one piece.
 */
import assert from 'node:assert/strict'
import { Failure } from '#contracts/failure.ts'
import { pooling } from './layout.ts'
import { NativeContext } from './nativeContext.ts'
import type { NativeModel } from './nativeModel.ts'

const causalPieceTokens = 64

type Pooling = 'mean' | 'first' | 'last'

export class EmbeddingContext implements Disposable {
  readonly #model: NativeModel
  readonly #context: NativeContext
  readonly #pooling: Pooling
  readonly #inputTokensMax: number

  private constructor(model: NativeModel, context: NativeContext, pool: Pooling, inputTokensMax: number) {
    this.#model = model
    this.#context = context
    this.#pooling = pool
    this.#inputTokensMax = inputTokensMax
  }

  static async open(
    model: NativeModel,
    options: { contextTokensMax: number; threads: number },
  ): Promise<EmbeddingContext> {
    const pool = poolingOf(model)
    const isCausal = model.architectureMetadata('attention.causal') !== 'false'
    const cellsMax = Math.min(options.contextTokensMax, model.contextTokensTrained)
    const batchTokensMax = isCausal ? causalPieceTokens : cellsMax
    const context = await NativeContext.open(model, {
      sequences: 1,
      cellsMax,
      kvType: 'f16',
      kvLayout: 'split',
      batchTokensMax,
      microBatchTokensMax: batchTokensMax,
      threads: options.threads,
      embeddings: true,
    })
    return new EmbeddingContext(model, context, pool, cellsMax)
  }

  setThreads(threads: number): void {
    this.#context.threads = threads
  }

  abort(): void {
    this.#context.abort()
  }

  async embed(tokens: readonly number[]): Promise<Float32Array> {
    assert(tokens.length > 0, 'an input without tokens')
    if (tokens.length > this.#inputTokensMax)
      throw new Failure(
        'context-exceeded',
        `an input of ${tokens.length} tokens is over the ${this.#inputTokensMax} of this model`,
      )
    const sum = new Float32Array(this.#model.embeddingWidth)
    this.#context.truncate(0, 0)
    for (let from = 0; from < tokens.length; from += this.#context.batchTokensMax) {
      const piece = tokens.slice(from, from + this.#context.batchTokensMax)
      const span = { slot: 0, position: from, tokens: piece, logitsForLast: piece.length }
      const result = await this.#context.decode([span], { isBrief: false })
      if (result !== 'decoded')
        throw new Failure('aborted', `the embedding was ${result}`, { retry: { kind: 'elsewhere' } })
      this.#addRows(sum, { from, rows: piece.length, total: tokens.length })
    }
    return normalised(sum)
  }

  #addRows(sum: Float32Array, piece: { from: number; rows: number; total: number }): void {
    for (let row = 0; row < piece.rows; row++) {
      const position = piece.from + row
      if (this.#pooling === 'first' && position > 0) continue
      if (this.#pooling === 'last' && position < piece.total - 1) continue
      const embedding = this.#context.embedding(row, sum.length)
      for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (embedding[i] ?? 0)
    }
  }

  [Symbol.dispose](): void {
    this.#context[Symbol.dispose]()
  }
}

/** As the model file declares; mean for the many that say nothing. */
function poolingOf(model: NativeModel): Pooling {
  const declared = Number(model.architectureMetadata('pooling_type') ?? pooling.mean)
  switch (declared) {
    case pooling.cls:
      return 'first'
    case pooling.last:
      return 'last'
    case pooling.rank:
      throw new Failure('unsupported', 'this model ranks pairs of texts and gives no embeddings')
    default:
      return 'mean'
  }
}

/** Of length 1; a vector of zeros stays one. Scaling a mean or a sum gives the same. */
function normalised(vector: Float32Array): Float32Array {
  let squares = 0
  for (const value of vector) squares += value * value
  const scale = squares === 0 ? 0 : 1 / Math.sqrt(squares)
  return vector.map((value) => value * scale)
}
