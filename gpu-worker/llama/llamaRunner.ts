/**
 * The model runner over llama.cpp. Owns the model, its context and what hangs on them, and turns the port's promises into native calls.
 *
 * Keeps its own count of cells per slot, so that a position that would break llama.cpp's cache is found here, in JavaScript, and
 * not as a dead process.
 */
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { basename } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { spareIdsFor } from '../core/speculation/treeSequences.ts'
import {
  assertBatch,
  type BatchSpan,
  type DecodeResult,
  type GrammarMatcher,
  type ModelRunner,
  type RunnerInfo,
  type Slot,
} from '../modelRunner.ts'
import type { NativeSpan } from './batch.ts'
import { BranchedCells } from './branchedCells.ts'
import { companionsOf } from './companions.ts'
import { EmbeddingContext } from './embedding.ts'
import { LlamaExperts } from './experts.ts'
import { Candidates, NativeGrammar } from './grammar.ts'
import type { KvType } from './layout.ts'
import { loadLibrary } from './library.ts'
import { NativeContext } from './nativeContext.ts'
import { NativeModel } from './nativeModel.ts'
import type { Backend, Host } from './packages.ts'
import { headerBytes, readHeader, stateFingerprint, writeHeader } from './sequenceState.ts'
import { Vocabulary } from './vocabulary.ts'

export interface LlamaRunnerOptions {
  readonly modelPath: string
  readonly slots: number
  readonly contextTokensMax: number
  /** `auto` is f16; whoever wants bit-identical results passes q8_0. */
  readonly kvCacheType: 'auto' | KvType
  readonly kvLayout: 'split' | 'unified'
  /** Unified layout: cells of all slots together; `slots * contextTokensMax` where it is not given. */
  readonly cellsMax?: number
  readonly threads: number
  readonly backend: 'auto' | Backend
  readonly embeddings: boolean
  readonly host: Host
  readonly clock: Clock
  readonly log: Log
}

const batchTokensMax = 2_048
const microBatchTokensMax = 512
/** A hand-over to another thread and back is 0.3-0.5 ms: worth saving in a step of 7 ms, not one of 40. */
const briefMsMax = 24

export async function createLlamaRunner(options: LlamaRunnerOptions): Promise<ModelRunner> {
  const library = loadLibrary(options)
  const kvType = options.kvCacheType === 'auto' ? 'f16' : options.kvCacheType
  const model = await NativeModel.load(library, options.modelPath)
  try {
    warnOfUntrainedContext(model, options)
    const context = await NativeContext.open(model, {
      sequences: options.slots + forksOf(options),
      cellsMax: cellsOf(options),
      kvType,
      kvLayout: options.kvLayout,
      batchTokensMax,
      microBatchTokensMax,
      threads: options.threads,
      embeddings: false,
    })
    return new LlamaRunner(model, context, { ...options, kvType })
  } catch (error) {
    model[Symbol.dispose]()
    throw error
  }
}

/** Only where sequences can share cells. */
function forksOf({ kvLayout, slots }: LlamaRunnerOptions): number {
  return kvLayout === 'unified' ? spareIdsFor(slots) : 0
}

function cellsOf(options: LlamaRunnerOptions): number {
  const all = options.slots * options.contextTokensMax
  return options.kvLayout === 'unified' ? (options.cellsMax ?? all) : all
}

function warnOfUntrainedContext(model: NativeModel, options: LlamaRunnerOptions): void {
  if (options.contextTokensMax <= model.contextTokensTrained) return
  options.log.warn(
    { contextTokensMax: options.contextTokensMax, trainedTokens: model.contextTokensTrained },
    'engine.contextTokensMax is over what the model was trained for: long answers may be poor',
  )
}

class LlamaRunner implements ModelRunner {
  readonly info: RunnerInfo
  readonly briefMsMax = briefMsMax
  readonly experts: LlamaExperts
  readonly #options: LlamaRunnerOptions & { kvType: KvType }
  readonly #model: NativeModel
  readonly #context: NativeContext
  readonly #vocabulary: Vocabulary
  readonly #fingerprint: Uint8Array
  /** Cells each slot holds. */
  readonly #cells: number[]
  readonly #branched: BranchedCells
  #candidates: Candidates | undefined
  #embedding: Promise<EmbeddingContext> | undefined
  #embeddingTurn: Promise<unknown> = Promise.resolve()
  #running: Promise<unknown> | undefined
  #disposed = false

  constructor(model: NativeModel, context: NativeContext, options: LlamaRunnerOptions & { kvType: KvType }) {
    this.#options = options
    this.#model = model
    this.#context = context
    this.experts = new LlamaExperts(model, context)
    this.#vocabulary = new Vocabulary(model)
    this.#cells = Array<number>(options.slots).fill(0)
    this.#branched = new BranchedCells(context, { slots: options.slots, forks: forksOf(options) })
    this.info = infoOf(model, this.#vocabulary, options)
    const { library, slots, kvLayout } = this.info
    this.#fingerprint = stateFingerprint([library, model.fingerprint, options.kvType, kvLayout, slots])
  }

  get batchTokensMax(): number {
    return this.#context.batchTokensMax
  }

  get threads(): number {
    return this.#context.threads
  }

  setThreads(threads: number): void {
    this.#assertOpen()
    this.#context.threads = threads
    void this.#embedding?.then(
      (embedding) => embedding.setThreads(threads),
      // Whoever asked for the embedding got this failure.
      () => undefined,
    )
  }

  tokenize(text: string, options: { parseSpecial: boolean; addBegin: boolean }): number[] {
    this.#assertOpen()
    return this.#vocabulary.tokenize(text, options)
  }

  pieceOf(token: number): Uint8Array {
    this.#assertOpen()
    return this.#vocabulary.pieceOf(token)
  }

  specialText(token: number): string {
    this.#assertOpen()
    return this.#vocabulary.specialText(token)
  }

  isEndOfGeneration(token: number): boolean {
    return this.#vocabulary.isEndOfGeneration(token)
  }

  endOfGenerationTokens(): readonly number[] {
    return this.#vocabulary.endOfGeneration
  }

  async decode(spans: readonly BatchSpan[], options = { isBrief: false }): Promise<DecodeResult> {
    this.#assertIdle()
    assertBatch(spans, this.batchTokensMax)
    for (const span of spans) this.#assertSpan(span)
    const startedAt = this.#options.clock.now()
    const companions = this.avoidsLoneRows ? this.#companionsOf(spans) : []
    const decoding = this.#context.decode(this.#branch(inOrder(spans, companions)), options)
    this.#running = decoding
    let outcome: Awaited<typeof decoding> | undefined
    try {
      outcome = await decoding
    } finally {
      this.#running = undefined
      this.#countCells(spans, outcome === 'decoded')
      for (const { slot, position } of companions) this.#context.truncate(slot, position)
    }
    if (outcome !== 'decoded') return { kind: outcome }
    return { kind: 'decoded', rows: this.#context.rows, decodeMs: this.#options.clock.now() - startedAt }
  }

  get avoidsLoneRows(): boolean {
    const { kvLayout, kvType } = this.#options
    return kvLayout === 'split' && kvType !== 'f16' && this.experts.attached !== null
  }

  #companionsOf(spans: readonly BatchSpan[]): BatchSpan[] {
    const { slots, contextTokensMax } = this.info
    return companionsOf(spans, { slots, contextTokensMax, cellsOf: (slot) => this.#cells[slot] ?? 0 })
  }

  /** Chains alone, which is what most batches are, cost one look at each. */
  #branch(spans: readonly BatchSpan[]): readonly NativeSpan[] {
    const hasTrees = spans.some(({ parents }) => parents !== undefined)
    assert(this.info.capabilities.trees || !hasTrees, 'this runner has no trees')
    return hasTrees || this.#branched.hasOpen ? this.#branched.branch(spans) : spans
  }

  #assertSpan({ slot, position, tokens }: BatchSpan): void {
    const cells = this.#cells[slot]
    assert(cells !== undefined, `slot ${slot} of ${this.info.slots}`)
    assert.equal(position, cells, `slot ${slot} holds ${cells} cells`)
    assert(position + tokens.length <= this.info.contextTokensMax, `slot ${slot} is over its context`)
    for (const token of tokens) assert(this.#vocabulary.isToken(token), `token ${token} in slot ${slot}`)
  }

  /** A step that was not decoded may have kept some of its cells, and of a tree a slot has one path; llama.cpp knows how many. */
  #countCells(spans: readonly BatchSpan[], isDecoded: boolean): void {
    for (const { slot, position, tokens, parents } of spans)
      this.#cells[slot] = isDecoded && parents === undefined ? position + tokens.length : this.#context.cells(slot)
  }

  logits(row: number): Float32Array {
    this.#assertOpen()
    return this.#context.logits(row, this.#vocabulary.size)
  }

  abort(): void {
    if (this.#running !== undefined) this.#context.abort()
  }

  truncate(slot: Slot, position: number): void {
    const cells = this.#cellsOf(slot)
    assert(Number.isInteger(position) && position >= 0, `position ${position} is not a cell`)
    this.#branched.drop(slot, position)
    if (position >= cells) return
    if (!this.#context.truncate(slot, position))
      throw new Failure('engine-fault', `this model cannot take back tokens: slot ${slot} from ${position} of ${cells}`)
    this.#cells[slot] = position
  }

  keepPath(slot: Slot, path: readonly number[]): void {
    this.#cellsOf(slot)
    this.#cells[slot] = this.#branched.keep(slot, path)
  }

  sequenceBytes(slot: Slot): number {
    this.#cellsOf(slot)
    this.#branched.assertClosed(slot)
    return headerBytes + this.#context.stateBytes(slot)
  }

  saveSequence(slot: Slot): Uint8Array {
    const cells = this.#cellsOf(slot)
    this.#branched.assertClosed(slot)
    // Not zeroed: llama.cpp writes every byte.
    const state = new Uint8Array(Buffer.allocUnsafeSlow(headerBytes + this.#context.stateBytes(slot)).buffer)
    writeHeader(state, { cells, fingerprint: this.#fingerprint })
    const written = this.#context.saveState(slot, state.subarray(headerBytes))
    assert.equal(written, state.byteLength - headerBytes, 'llama.cpp saved another size than it announced')
    return state
  }

  restoreSequence(slot: Slot, state: Uint8Array): boolean {
    assert.equal(this.#cellsOf(slot), 0, `slot ${slot} is not empty`)
    const header = readHeader(state, this.#fingerprint)
    if (header === undefined || header.cells > this.info.contextTokensMax) return false
    if (!this.#context.restoreState(slot, state.subarray(headerBytes))) return false
    this.#cells[slot] = header.cells
    if (this.#context.cells(slot) === header.cells) return true
    this.truncate(slot, 0)
    return false
  }

  async embed(inputs: readonly (readonly number[])[]): Promise<Float32Array[]> {
    this.#assertOpen()
    if (!this.#options.embeddings)
      throw new Failure('unsupported', 'this deployment gives no embeddings: set engine.embeddings: true')
    for (const token of inputs.flat()) assert(this.#vocabulary.isToken(token), `token ${token}`)
    const turn = this.#embeddingTurn.then(() => this.#embedAll(inputs))
    this.#embeddingTurn = turn.catch(() => undefined)
    return turn
  }

  async #embedAll(inputs: readonly (readonly number[])[]): Promise<Float32Array[]> {
    this.#assertOpen()
    this.#embedding ??= EmbeddingContext.open(this.#model, {
      contextTokensMax: this.info.contextTokensMax,
      threads: this.threads,
    })
    const embedding = await this.#embedding
    const vectors: Float32Array[] = []
    for (const input of inputs) {
      this.#assertOpen()
      vectors.push(await embedding.embed(input))
    }
    return vectors
  }

  openGrammar(gbnf: string): GrammarMatcher {
    this.#assertOpen()
    this.#candidates ??= new Candidates(this.#vocabulary.size)
    return NativeGrammar.open(this.#model, gbnf, this.#candidates)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return
    this.abort()
    this.#disposed = true
    await Promise.allSettled([this.#running, this.#embeddingTurn])
    const embedding = await this.#embedding?.catch(() => undefined)
    embedding?.[Symbol.dispose]()
    this.experts[Symbol.dispose]()
    this.#context[Symbol.dispose]()
    this.#candidates?.[Symbol.dispose]()
    this.#model[Symbol.dispose]()
  }

  #cellsOf(slot: Slot): number {
    this.#assertIdle()
    const cells = this.#cells[slot]
    assert(cells !== undefined, `slot ${slot} of ${this.info.slots}`)
    return cells
  }

  #assertOpen(): void {
    assert(!this.#disposed, 'the runner is disposed')
  }

  #assertIdle(): void {
    this.#assertOpen()
    assert(this.#running === undefined, 'a decode is running')
  }
}

function inOrder(spans: readonly BatchSpan[], companions: readonly BatchSpan[]): readonly BatchSpan[] {
  return companions.length === 0 ? spans : [...spans, ...companions].sort((a, b) => a.slot - b.slot)
}

function infoOf(
  model: NativeModel,
  vocabulary: Vocabulary,
  options: LlamaRunnerOptions & { kvType: KvType },
): RunnerInfo {
  const { library } = model
  const forksMax = forksOf(options)
  return {
    kind: 'llamacpp',
    simulated: false,
    backend: library.backend,
    library: library.description,
    cpu: library.device,
    modelName: model.metadata('general.name') ?? basename(options.modelPath, '.gguf'),
    vocabularySize: vocabulary.size,
    contextTokensMax: options.contextTokensMax,
    slots: options.slots,
    kvCacheType: options.kvType,
    kvLayout: options.kvLayout,
    bytesPerToken: model.bytesPerToken(options.kvType),
    chatTemplate: model.chatTemplate,
    beginToken: vocabulary.beginToken,
    endToken: vocabulary.endToken,
    capabilities: { embeddings: options.embeddings, grammar: true, sequenceState: true, trees: forksMax > 0 },
    forksMax,
  }
}
