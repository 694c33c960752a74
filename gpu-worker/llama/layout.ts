/**
 * How llama.cpp's structs lie in memory, per release. They travel by value, so a wrong field is a wild write in native code:
 * a release that is not listed here is refused, and a listed one is checked at load (sizes, and every default that is known)
 * before any other call is made.
 *
 * To add a release: compare `include/llama.h` field by field, list it, and run `test/behaviour/modelRunner`.
 */
import koffi, { type TypeObject } from 'koffi'
import { Failure } from '#contracts/failure.ts'

export type NativeValue = number | boolean | bigint | null
export type NativeStruct = Record<string, NativeValue>

export interface Layout {
  readonly release: string
  readonly modelParams: TypeObject
  readonly contextParams: TypeObject
  readonly batch: TypeObject
}

interface StructForm {
  readonly bytes: number
  /** Field, C type, and the value that `…_default_params` must give, in the struct's order. */
  readonly fields: readonly (readonly [name: string, type: string, expected: NativeValue])[]
}

interface Release {
  readonly modelParams: StructForm
  readonly contextParams: StructForm
}

const pointer = 'void*'

const releases: Readonly<Record<string, Release>> = {
  'v0.5.0': {
    modelParams: {
      bytes: 80,
      fields: [
        ['devices', pointer, null],
        ['tensor_buft_overrides', pointer, null],
        ['n_gpu_layers', 'int32_t', -1],
        ['split_mode', 'int32_t', 1],
        ['load_mode', 'int32_t', -1],
        ['lazy_mode', 'int32_t', 1],
        ['main_gpu', 'int32_t', 0],
        ['tensor_split', pointer, null],
        ['progress_callback', pointer, null],
        ['progress_callback_user_data', pointer, null],
        ['kv_overrides', pointer, null],
        ['vocab_only', 'bool', false],
        ['check_tensors', 'bool', false],
        ['use_extra_bufts', 'bool', true],
        ['no_host', 'bool', false],
        ['no_alloc', 'bool', false],
        ['load_mtp', 'bool', false],
      ],
    },
    contextParams: {
      bytes: 160,
      fields: [
        ['n_ctx', 'uint32_t', 512],
        ['n_batch', 'uint32_t', 2048],
        ['n_ubatch', 'uint32_t', 512],
        ['n_seq_max', 'uint32_t', 1],
        ['n_rs_seq', 'uint32_t', 0],
        ['n_outputs_max', 'uint32_t', 0],
        ['n_outputs_max_per_seq', 'uint32_t', 1],
        ['n_threads', 'int32_t', 4],
        ['n_threads_batch', 'int32_t', 4],
        ['ctx_type', 'int32_t', 0],
        ['rope_scaling_type', 'int32_t', -1],
        ['pooling_type', 'int32_t', -1],
        ['attention_type', 'int32_t', -1],
        ['flash_attn_type', 'int32_t', -1],
        ['rope_freq_base', 'float', 0],
        ['rope_freq_scale', 'float', 0],
        ['yarn_ext_factor', 'float', -1],
        ['yarn_attn_factor', 'float', -1],
        ['yarn_beta_fast', 'float', -1],
        ['yarn_beta_slow', 'float', -1],
        ['yarn_orig_ctx', 'uint32_t', 0],
        ['defrag_thold', 'float', -1],
        ['cb_eval', pointer, null],
        ['cb_eval_user_data', pointer, null],
        ['type_k', 'int32_t', 1],
        ['type_v', 'int32_t', 1],
        ['abort_callback', pointer, null],
        ['abort_callback_data', pointer, null],
        ['embeddings', 'bool', false],
        ['offload_kqv', 'bool', true],
        ['no_perf', 'bool', true],
        ['op_offload', 'bool', true],
        ['swa_full', 'bool', true],
        ['kv_unified', 'bool', false],
        ['samplers', pointer, null],
        ['n_samplers', 'size_t', 0],
        ['ctx_other', pointer, null],
      ],
    },
  },
}

/** `release` as the package's build metadata names it. */
export function layoutOf(release: string): Layout {
  const form = releases[release]
  if (form === undefined)
    throw new Failure(
      'native-fault',
      `llama.cpp ${release} is installed, but struct layouts are known only for ${Object.keys(releases).join(', ')}: ` +
        'install the @node-llama-cpp version that package.json names',
    )
  return {
    release,
    modelParams: declare('model parameters', form.modelParams, release),
    contextParams: declare('context parameters', form.contextParams, release),
    batch: koffi.struct({
      n_tokens: 'int32_t',
      token: pointer,
      embd: pointer,
      pos: pointer,
      n_seq_id: pointer,
      seq_id: pointer,
      logits: pointer,
    }),
  }
}

export function checkDefaults(layout: Layout, defaults: { model: NativeStruct; context: NativeStruct }): void {
  const form = releases[layout.release]
  if (form === undefined) return
  compare('model parameters', form.modelParams, defaults.model, layout.release)
  compare('context parameters', form.contextParams, defaults.context, layout.release)
}

function declare(what: string, form: StructForm, release: string): TypeObject {
  const type = koffi.struct(Object.fromEntries(form.fields.map(([name, fieldType]) => [name, fieldType])))
  const bytes = koffi.sizeof(type)
  if (bytes !== form.bytes)
    throw new Failure('native-fault', `${what} of llama.cpp ${release} take ${form.bytes} bytes, but ${bytes} here`)
  return type
}

function compare(what: string, form: StructForm, actual: NativeStruct, release: string): void {
  const wrong = form.fields.filter(([name, , expected]) => actual[name] !== expected)
  if (wrong.length === 0) return
  const list = wrong.map(([name, , expected]) => `${name} is ${String(actual[name])}, not ${String(expected)}`)
  throw new Failure('native-fault', `default ${what} differ from llama.cpp ${release}: ${list.join('; ')}`)
}

/** Values of `enum ggml_type` that a KV cache may have, with the bytes of a block and how many values it holds. */
export const kvTypes = {
  f16: { type: 1, blockBytes: 2, blockValues: 1 },
  bf16: { type: 30, blockBytes: 2, blockValues: 1 },
  q8_0: { type: 8, blockBytes: 34, blockValues: 32 },
} as const
export type KvType = keyof typeof kvTypes

export const loadMode = { mmap: 1 } as const
export const flashAttention = { enabled: 1 } as const
export const pooling = { none: 0, mean: 1, cls: 2, last: 3, rank: 4 } as const
export const deviceType = { cpu: 0, gpu: 1, integratedGpu: 2, accelerator: 3 } as const

/** `llama_token_data`: i32 id, f32 logit, f32 p. `llama_token_data_array`: pointer, size_t size, i64 selected, bool sorted. */
export const tokenDataBytes = 12
export const tokenDataArrayBytes = 32
