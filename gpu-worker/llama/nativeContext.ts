/**
 * A context: KV cache, compute buffers and one batch over a model it keeps alive. Sole owner of its native handle.
 *
 * One call at a time: `decode` runs on another thread, and nothing else may touch the context until it has answered.
 */
import assert from 'node:assert/strict'
import koffi from 'koffi'
import { Failure } from '#contracts/failure.ts'
import { NativeBatch, type NativeSpan } from './batch.ts'
import type { NativeAdapter } from './adapters.ts'
import type { Hold } from './hold.ts'
import { flashAttention, type KvType, kvTypes, type NativeStruct, pooling } from './layout.ts'
import { callAsync } from './nativeCall.ts'
import type { NativeModel } from './nativeModel.ts'
import type { Address, ContextHandle, MemoryHandle } from './symbols.ts'
import { ContextThreads } from './threadPool.ts'

export interface ContextOptions {
  readonly sequences: number
  readonly cellsMax: number
  readonly kvType: KvType
  readonly kvLayout: 'split' | 'unified'
  readonly batchTokensMax: number
  readonly microBatchTokensMax: number
  readonly threads: number
  /** Rows give embeddings instead of logits alone; every token is then a row. */
  readonly embeddings: boolean
}

export type NativeDecode = 'decoded' | 'no-cells' | 'aborted'

/** Views are made anew after this many: only so that a long life cannot gather stale ones. */
const viewsMax = 4_096

export class NativeContext implements Disposable {
  readonly #model: NativeModel
  readonly #handle: ContextHandle
  readonly #memory: MemoryHandle
  readonly #parent: Hold
  readonly #batch: NativeBatch
  readonly #abortFlag: { address: Address; byte: Uint8Array }
  readonly #views = new Map<Address, Float32Array>()
  readonly #threads: ContextThreads
  readonly #isUnified: boolean
  #threadsWanted: number
  #adapter: { readonly adapter: NativeAdapter; readonly hold: Hold } | null = null
  #decoding = false
  #disposed = false

  private constructor(model: NativeModel, handle: ContextHandle, flag: Flag, parent: Hold, options: ContextOptions) {
    const { symbols } = model.library
    const { threads, kvLayout, sequences } = options
    this.#model = model
    this.#handle = handle
    this.#memory = symbols.memoryOf(handle)
    this.#parent = parent
    this.#isUnified = kvLayout === 'unified'
    this.#batch = new NativeBatch(symbols.batchTokens(handle), { sequences })
    this.#abortFlag = flag
    this.#threads = new ContextThreads({ symbols, context: handle, pools: model.library.threadPools, threads })
    this.#threadsWanted = threads
  }

  static async open(model: NativeModel, options: ContextOptions): Promise<NativeContext> {
    const { symbols, nativeLog, isByteSet } = model.library
    const parent = model.hold()
    const flag = allocateFlag()
    nativeLog.takeErrors()
    const parameters = parametersOf(symbols.contextDefaults(), options)
    parameters['abort_callback'] = isByteSet
    parameters['abort_callback_data'] = flag.address
    parameters['offload_kqv'] = model.library.backend !== 'cpu'
    parameters['op_offload'] = model.library.backend !== 'cpu'
    const handle = await callAsync(symbols.contextOpen, model.handle, parameters)
    if (handle !== null) return new NativeContext(model, handle, flag, parent, options)
    koffi.free(flag.address)
    parent.release()
    const mebibytes = Math.ceil((options.cellsMax * model.bytesPerToken(options.kvType)) / 2 ** 20)
    throw new Failure(
      'native-fault',
      `llama.cpp refused a context of ${options.cellsMax} cells (KV cache ${options.kvType}: about ${mebibytes} MiB): ` +
        `${nativeLog.takeErrors().join('; ') || 'no reason given'}. Lower engine.slots or engine.contextTokensMax`,
    )
  }

  get batchTokensMax(): number {
    return this.#batch.tokensMax
  }

  get contextTokensPerSequence(): number {
    return this.#model.library.symbols.contextTokensPerSequence(this.#open)
  }

  get threads(): number {
    return this.#threadsWanted
  }

  /** Takes effect with the next decode: a running one keeps its threads. */
  set threads(threads: number) {
    assert(Number.isInteger(threads) && threads > 0 && threads <= 512, `${threads} threads`)
    this.#threadsWanted = threads
  }

  get rows(): number {
    return this.#batch.rows
  }

  get isDecoding(): boolean {
    return this.#decoding
  }

  /** `isBrief`: on this thread, before the call returns. */
  async decode(spans: readonly NativeSpan[], { isBrief }: { readonly isBrief: boolean }): Promise<NativeDecode> {
    const { symbols } = this.#model.library
    const handle = this.#idle
    this.#threads.use(this.#threadsWanted)
    this.#batch.fill(spans)
    this.#abortFlag.byte[0] = 0
    this.#decoding = true
    let code: number
    try {
      const { struct } = this.#batch
      code = isBrief ? symbols.decode(handle, struct) : await callAsync(symbols.decode, handle, struct)
    } finally {
      this.#decoding = false
    }
    if (code === 0) this.#threads.decoded()
    return this.#meaningOf(code)
  }

  #meaningOf(code: number): NativeDecode {
    if (code === 0) return 'decoded'
    if (code === 1) return 'no-cells'
    if (code === 2) return 'aborted'
    const reasons = this.#model.library.nativeLog.takeErrors().join('; ')
    throw new Failure(
      'engine-fault',
      `llama_decode gave ${code} for ${String(this.#batch.struct['n_tokens'])} tokens. ${reasons}`,
      {
        retry: { kind: 'elsewhere' },
      },
    )
  }

  get adapter(): NativeAdapter | null {
    return this.#adapter?.adapter ?? null
  }

  /**
   * From the next decode on, for all sequences: llama.cpp has one set of adapters per context. What sequences hold was computed with
   * the adapter of its time, and is worth nothing under another one.
   */
  attach(adapter: NativeAdapter | null): void {
    const handle = this.#idle
    if (adapter === this.adapter) return
    const hold = adapter?.hold()
    const addresses = BigUint64Array.from(adapter === null ? [] : [adapter.handle])
    const scales = new Float32Array(addresses.length).fill(1)
    const code = this.#model.library.symbols.adaptersSet(handle, addresses, addresses.length, scales)
    assert.equal(code, 0, 'llama_set_adapters_lora fails for nothing')
    this.#adapter?.hold.release()
    this.#adapter = adapter === null || hold === undefined ? null : { adapter, hold }
  }

  abort(): void {
    this.#abortFlag.byte[0] = 1
  }

  /** A view into llama.cpp's own buffer: valid until the next decode. */
  logits(row: number, length: number): Float32Array {
    const address = this.#model.library.symbols.logitsOf(this.#idle, this.#batch.rowIndex(row))
    return this.#view(address, length)
  }

  embedding(row: number, length: number): Float32Array {
    const address = this.#model.library.symbols.embeddingOf(this.#idle, this.#batch.rowIndex(row))
    return this.#view(address, length)
  }

  /** Making a view costs about 20 µs; the buffer rarely moves, so views are kept by address. */
  #view(address: Address | null, length: number): Float32Array {
    assert(address !== null, 'llama.cpp has no such row')
    const known = this.#views.get(address)
    if (known !== undefined && known.length === length) return known
    if (this.#views.size >= viewsMax) this.#views.clear()
    const view = new Float32Array(koffi.view(address, length * Float32Array.BYTES_PER_ELEMENT))
    this.#views.set(address, view)
    return view
  }

  /** Cells of a sequence, as llama.cpp counts them. */
  cells(sequence: number): number {
    return this.#model.library.symbols.memoryLast(this.#idleMemory, sequence) + 1
  }

  truncate(sequence: number, position: number): boolean {
    return this.#model.library.symbols.memoryRemove(this.#idleMemory, sequence, position, -1)
  }

  /** `to` holds the cells of `from` in [start, end) as well; -1: to its end. Free and exact in the unified layout only. */
  copySequence(from: number, to: number, start: number, end: number): void {
    assert(this.#isUnified, 'in the split layout llama.cpp ends the process over a partial copy')
    this.#model.library.symbols.memoryCopy(this.#idleMemory, from, to, start, end)
  }

  stateBytes(sequence: number): number {
    return this.#model.library.symbols.stateBytes(this.#idle, sequence)
  }

  /** Writes the state of a sequence; returns the bytes written. */
  saveState(sequence: number, into: Uint8Array): number {
    return this.#model.library.symbols.stateGet(this.#idle, into, into.byteLength, sequence)
  }

  /** Returns whether llama.cpp took it; where it did not, the sequence is empty. */
  restoreState(sequence: number, state: Uint8Array): boolean {
    const read = this.#model.library.symbols.stateSet(this.#idle, state, state.byteLength, sequence)
    if (read === state.byteLength) return true
    this.truncate(sequence, 0)
    return false
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return
    assert(!this.#decoding, 'a context cannot be freed while it decodes')
    this.#disposed = true
    this.#threads[Symbol.dispose]()
    this.#model.library.symbols.contextFree(this.#handle)
    this.#adapter?.hold.release()
    this.#views.clear()
    this.#batch[Symbol.dispose]()
    koffi.free(this.#abortFlag.address)
    this.#parent.release()
  }

  get #open(): ContextHandle {
    assert(!this.#disposed, 'the context is disposed')
    return this.#handle
  }

  get #idle(): ContextHandle {
    assert(!this.#decoding, 'the context is decoding')
    return this.#open
  }

  get #idleMemory(): MemoryHandle {
    assert(this.#idle === this.#handle)
    return this.#memory
  }
}

type Flag = { address: Address; byte: Uint8Array }

/** Zeros behind the byte: what reads it, reads text. */
function allocateFlag(): Flag {
  const bytes = 64
  const address: unknown = koffi.alloc('uint8_t', bytes)
  assert(typeof address === 'bigint', 'native memory is exhausted')
  return { address, byte: new Uint8Array(koffi.view(address, bytes)).fill(0) }
}

function parametersOf(defaults: NativeStruct, options: ContextOptions): NativeStruct {
  const { type } = kvTypes[options.kvType]
  return {
    ...defaults,
    n_ctx: options.cellsMax,
    n_batch: options.batchTokensMax,
    n_ubatch: options.microBatchTokensMax,
    n_seq_max: options.sequences,
    n_threads: options.threads,
    n_threads_batch: options.threads,
    // Quantised and reproducible caches need it, and it is faster everywhere it was measured.
    flash_attn_type: flashAttention.enabled,
    pooling_type: options.embeddings ? pooling.none : (defaults['pooling_type'] ?? null),
    type_k: type,
    type_v: type,
    embeddings: options.embeddings,
    kv_unified: options.kvLayout === 'unified',
    no_perf: true,
  }
}
