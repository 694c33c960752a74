/**
 * A loaded model: weights and vocabulary. Owns the native handle; contexts and grammars hold it while they live.
 */
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { Failure } from '#contracts/failure.ts'
import { type Hold, Lifetime } from './hold.ts'
import { type KvType, kvTypes, loadMode } from './layout.ts'
import type { LlamaLibrary } from './library.ts'
import { checkModelFile } from './modelFile.ts'
import { callAsync } from './nativeCall.ts'
import type { ModelHandle, VocabularyHandle } from './symbols.ts'

export class NativeModel implements Disposable {
  readonly library: LlamaLibrary
  readonly #handle: ModelHandle
  readonly #lifetime: Lifetime

  private constructor(library: LlamaLibrary, handle: ModelHandle) {
    this.library = library
    this.#handle = handle
    this.#lifetime = new Lifetime(() => library.symbols.modelFree(handle))
  }

  static async load(library: LlamaLibrary, path: string): Promise<NativeModel> {
    await checkModelFile(path)
    const { symbols, nativeLog } = library
    nativeLog.takeErrors()
    const parameters = {
      ...symbols.modelDefaults(),
      load_mode: loadMode.mmap,
      n_gpu_layers: library.backend === 'cpu' ? 0 : -1,
    }
    const handle = await callAsync(symbols.modelLoad, path, parameters)
    if (handle !== null) return new NativeModel(library, handle)
    const reasons = nativeLog.takeErrors().join('; ')
    throw new Failure(
      'model-unusable',
      `${library.description} cannot load ${path}: ${reasons || 'no reason given'}. ` +
        'Check that the file is complete (sha256) and of an architecture this release knows',
    )
  }

  /** For contexts and grammars only; never leaves `llama/`. */
  get handle(): ModelHandle {
    assert(!this.#lifetime.isOver, 'the model is disposed')
    return this.#handle
  }

  get vocabulary(): VocabularyHandle {
    return this.library.symbols.modelVocabulary(this.handle)
  }

  hold(): Hold {
    return this.#lifetime.hold()
  }

  [Symbol.dispose](): void {
    this.#lifetime[Symbol.dispose]()
  }

  /** A scalar or text of the file's header; undefined where it has none. */
  metadata(key: string): string | undefined {
    const { modelMetadata } = this.library.symbols
    let bytes = Buffer.alloc(256)
    const needed = modelMetadata(this.handle, key, bytes, bytes.length)
    if (needed < 0) return undefined
    if (needed >= bytes.length) {
      bytes = Buffer.alloc(needed + 1)
      modelMetadata(this.handle, key, bytes, bytes.length)
    }
    return bytes.subarray(0, needed).toString('utf8')
  }

  /** A key below the architecture's own name, as `llama.attention.causal`. */
  architectureMetadata(key: string): string | undefined {
    return this.metadata(`${this.metadata('general.architecture') ?? ''}.${key}`)
  }

  get chatTemplate(): string | null {
    return this.library.symbols.modelChatTemplate(this.handle, null)
  }

  get contextTokensTrained(): number {
    return this.library.symbols.modelContextTrained(this.handle)
  }

  get embeddingWidth(): number {
    return this.library.symbols.modelEmbeddingWidth(this.handle)
  }

  /** Enough to tell two models apart when a saved sequence comes back; not a checksum of the weights. */
  get fingerprint(): string {
    const { symbols } = this.library
    const name = this.metadata('general.name') ?? ''
    return `${name}/${symbols.modelParameters(this.handle)}/${symbols.modelBytes(this.handle)}`
  }

  /** What one token takes in the KV cache, where every layer is alike. */
  bytesPerToken(type: KvType): number {
    const { symbols } = this.library
    const heads = symbols.modelHeadsKv(this.handle)
    const headWidth = symbols.modelWidth(this.handle) / symbols.modelHeads(this.handle)
    const keyWidth = Number(this.architectureMetadata('attention.key_length') ?? headWidth)
    const valueWidth = Number(this.architectureMetadata('attention.value_length') ?? headWidth)
    const { blockBytes, blockValues } = kvTypes[type]
    const values = symbols.modelLayers(this.handle) * heads * (keyWidth + valueWidth)
    return Math.ceil((values * blockBytes) / blockValues)
  }
}
