/**
 * Every C function that Paceline calls, declared once. Handles are branded so that a model cannot be passed for a context.
 *
 * koffi cannot know what a symbol takes: the types here are a claim about `llama.h` of the releases in `layout.ts`, and the
 * cast in `binder` is the only place where it is made. Nothing outside `llama/` may import this file.
 */
import type { LibraryHandle, TypeObject } from 'koffi'
import type { Layout, NativeStruct } from './layout.ts'

export type Handle<Kind extends string> = bigint & { readonly handle: Kind }
export type ModelHandle = Handle<'model'>
export type VocabularyHandle = Handle<'vocabulary'>
export type ContextHandle = Handle<'context'>
export type MemoryHandle = Handle<'memory'>
export type SamplerHandle = Handle<'sampler'>
export type DeviceHandle = Handle<'device'>
export type RegistryHandle = Handle<'registry'>
export type AdapterHandle = Handle<'adapter'>
export type Address = bigint
/** Passed as a pointer to its own memory, without a copy. */
type Bytes = Uint8Array | Int32Array | BigUint64Array | Float32Array

export type NativeFunction<Arguments extends readonly unknown[], Result> = {
  (...values: Arguments): Result
  /** Runs on another thread; the callback runs on this one. */
  async(...values: [...Arguments, (error: Error | null, result: Result) => void]): void
}

type Bind = <Arguments extends readonly unknown[], Result>(
  name: string,
  result: string | TypeObject,
  types: (string | TypeObject)[],
) => NativeFunction<Arguments, Result>

function binder(library: LibraryHandle): Bind {
  return <Arguments extends readonly unknown[], Result>(
    name: string,
    result: string | TypeObject,
    types: (string | TypeObject)[],
  ) => library.func(name, result, types) as unknown as NativeFunction<Arguments, Result>
}

export type Symbols = ReturnType<typeof bindLlama>
export type BackendSymbols = ReturnType<typeof bindBackends>

const pointer = 'void*'
const text = 'const char*'
const i32 = 'int32_t'

export function bindVersion(llama: LibraryHandle): () => string {
  return binder(llama)<[], string>('llama_version', text, [])
}

export function bindBackends(ggml: LibraryHandle, base: LibraryHandle) {
  const fromGgml = binder(ggml)
  const fromBase = binder(base)
  return {
    loadAllFrom: fromGgml<[folder: string], undefined>('ggml_backend_load_all_from_path', 'void', [text]),
    deviceCount: fromGgml<[], number>('ggml_backend_dev_count', 'size_t', []),
    device: fromGgml<[index: number], DeviceHandle>('ggml_backend_dev_get', pointer, ['size_t']),
    deviceType: fromBase<[DeviceHandle], number>('ggml_backend_dev_type', i32, [pointer]),
    deviceRegistry: fromBase<[DeviceHandle], RegistryHandle>('ggml_backend_dev_backend_reg', pointer, [pointer]),
    procedureOf: fromBase<[RegistryHandle, name: string], Address | null>(
      'ggml_backend_reg_get_proc_address',
      pointer,
      [pointer, text],
    ),
    deviceDescription: fromBase<[DeviceHandle], string>('ggml_backend_dev_description', text, [pointer]),
  }
}

export function bindLlama(llama: LibraryHandle, layout: Layout) {
  const bind = binder(llama)
  return {
    ...bindLifetimes(bind, layout),
    ...bindModel(bind),
    ...bindVocabulary(bind),
    ...bindDecode(bind, layout),
    ...bindMemory(bind),
    ...bindGrammar(bind),
    ...bindAdapters(bind),
  }
}

function bindLifetimes(bind: Bind, layout: Layout) {
  return {
    backendInit: bind<[], undefined>('llama_backend_init', 'void', []),
    logSet: bind<[callback: bigint, data: null], undefined>('llama_log_set', 'void', [pointer, pointer]),
    modelDefaults: bind<[], NativeStruct>('llama_model_default_params', layout.modelParams, []),
    contextDefaults: bind<[], NativeStruct>('llama_context_default_params', layout.contextParams, []),
    modelLoad: bind<[path: string, NativeStruct], ModelHandle | null>('llama_model_load_from_file', pointer, [
      text,
      layout.modelParams,
    ]),
    modelFree: bind<[ModelHandle], undefined>('llama_model_free', 'void', [pointer]),
    contextOpen: bind<[ModelHandle, NativeStruct], ContextHandle | null>('llama_init_from_model', pointer, [
      pointer,
      layout.contextParams,
    ]),
    contextFree: bind<[ContextHandle], undefined>('llama_free', 'void', [pointer]),
  }
}

function bindModel(bind: Bind) {
  return {
    modelVocabulary: bind<[ModelHandle], VocabularyHandle>('llama_model_get_vocab', pointer, [pointer]),
    modelLayers: bind<[ModelHandle], number>('llama_model_n_layer', i32, [pointer]),
    modelHeads: bind<[ModelHandle], number>('llama_model_n_head', i32, [pointer]),
    modelHeadsKv: bind<[ModelHandle], number>('llama_model_n_head_kv', i32, [pointer]),
    modelWidth: bind<[ModelHandle], number>('llama_model_n_embd', i32, [pointer]),
    modelEmbeddingWidth: bind<[ModelHandle], number>('llama_model_n_embd_out', i32, [pointer]),
    modelContextTrained: bind<[ModelHandle], number>('llama_model_n_ctx_train', i32, [pointer]),
    modelBytes: bind<[ModelHandle], number>('llama_model_size', 'uint64_t', [pointer]),
    modelParameters: bind<[ModelHandle], number>('llama_model_n_params', 'uint64_t', [pointer]),
    modelChatTemplate: bind<[ModelHandle, name: null], string | null>('llama_model_chat_template', text, [
      pointer,
      text,
    ]),
    modelMetadata: bind<[ModelHandle, key: string, Bytes, bytes: number], number>('llama_model_meta_val_str', i32, [
      pointer,
      text,
      pointer,
      'size_t',
    ]),
  }
}

function bindVocabulary(bind: Bind) {
  return {
    vocabularySize: bind<[VocabularyHandle], number>('llama_vocab_n_tokens', i32, [pointer]),
    isEndOfGeneration: bind<[VocabularyHandle, token: number], boolean>('llama_vocab_is_eog', 'bool', [pointer, i32]),
    beginToken: bind<[VocabularyHandle], number>('llama_vocab_bos', i32, [pointer]),
    endToken: bind<[VocabularyHandle], number>('llama_vocab_eos', i32, [pointer]),
    tokenize: bind<
      [VocabularyHandle, Bytes, bytes: number, into: Bytes, room: number, addSpecial: boolean, parseSpecial: boolean],
      number
    >('llama_tokenize', i32, [pointer, pointer, i32, pointer, i32, 'bool', 'bool']),
    tokenToPiece: bind<
      [VocabularyHandle, token: number, into: Bytes, room: number, strip: number, special: boolean],
      number
    >('llama_token_to_piece', i32, [pointer, i32, pointer, i32, i32, 'bool']),
  }
}

function bindDecode(bind: Bind, layout: Layout) {
  return {
    decode: bind<[ContextHandle, NativeStruct], number>('llama_decode', i32, [pointer, layout.batch]),
    logitsOf: bind<[ContextHandle, batchIndex: number], Address | null>('llama_get_logits_ith', pointer, [
      pointer,
      i32,
    ]),
    embeddingOf: bind<[ContextHandle, batchIndex: number], Address | null>('llama_get_embeddings_ith', pointer, [
      pointer,
      i32,
    ]),
    setThreads: bind<[ContextHandle, decode: number, prompt: number], undefined>('llama_set_n_threads', 'void', [
      pointer,
      i32,
      i32,
    ]),
    attachThreads: bind<[ContextHandle, decode: Address, prompt: Address], undefined>(
      'llama_attach_threadpool',
      'void',
      [pointer, pointer, pointer],
    ),
    detachThreads: bind<[ContextHandle], undefined>('llama_detach_threadpool', 'void', [pointer]),
    batchTokens: bind<[ContextHandle], number>('llama_n_batch', 'uint32_t', [pointer]),
    contextTokensPerSequence: bind<[ContextHandle], number>('llama_n_ctx_seq', 'uint32_t', [pointer]),
  }
}

function bindMemory(bind: Bind) {
  return {
    memoryOf: bind<[ContextHandle], MemoryHandle>('llama_get_memory', pointer, [pointer]),
    memoryRemove: bind<[MemoryHandle, sequence: number, from: number, to: number], boolean>(
      'llama_memory_seq_rm',
      'bool',
      [pointer, i32, i32, i32],
    ),
    memoryCopy: bind<[MemoryHandle, source: number, into: number, from: number, to: number], undefined>(
      'llama_memory_seq_cp',
      'void',
      [pointer, i32, i32, i32, i32],
    ),
    memoryLast: bind<[MemoryHandle, sequence: number], number>('llama_memory_seq_pos_max', i32, [pointer, i32]),
    stateBytes: bind<[ContextHandle, sequence: number], number>('llama_state_seq_get_size', 'size_t', [pointer, i32]),
    stateGet: bind<[ContextHandle, into: Bytes, bytes: number, sequence: number], number>(
      'llama_state_seq_get_data',
      'size_t',
      [pointer, pointer, 'size_t', i32],
    ),
    stateSet: bind<[ContextHandle, from: Bytes, bytes: number, sequence: number], number>(
      'llama_state_seq_set_data',
      'size_t',
      [pointer, pointer, 'size_t', i32],
    ),
  }
}

function bindGrammar(bind: Bind) {
  return {
    grammarOpen: bind<[VocabularyHandle, gbnf: string, root: string], SamplerHandle | null>(
      'llama_sampler_init_grammar',
      pointer,
      [pointer, text, text],
    ),
    samplerApply: bind<[SamplerHandle, candidates: Address], undefined>('llama_sampler_apply', 'void', [
      pointer,
      pointer,
    ]),
    samplerAccept: bind<[SamplerHandle, token: number], undefined>('llama_sampler_accept', 'void', [pointer, i32]),
    samplerFree: bind<[SamplerHandle], undefined>('llama_sampler_free', 'void', [pointer]),
  }
}

function bindAdapters(bind: Bind) {
  return {
    /** Freed with its model if nobody frees it before. */
    adapterLoad: bind<[ModelHandle, path: string], AdapterHandle | null>('llama_adapter_lora_init', pointer, [
      pointer,
      text,
    ]),
    adapterFree: bind<[AdapterHandle], undefined>('llama_adapter_lora_free', 'void', [pointer]),
    /** The whole set of a context, in the place of what was attached; a context keeps pointers to them. */
    adaptersSet: bind<[ContextHandle, adapters: Bytes, count: number, scales: Bytes], number>(
      'llama_set_adapters_lora',
      i32,
      [pointer, pointer, 'size_t', pointer],
    ),
  }
}
