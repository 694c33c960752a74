/**
 * For tests: a draft made from the test model itself by leaving out layers, so that its vocabulary is the target's. Kept between runs.
 *
 * The layers named are those that a greedy search found to matter least (SmolLM2-135M: 20 of 30 stay). Not fast enough to pay on a CPU:
 * it shows that drafting with a model is right, not that it is quick.
 */
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import koffi from 'koffi'
import { silentLog } from '#runtime/log.ts'
import { loadLibrary } from './library.ts'
import { findPackages } from './packages.ts'

const pointer = 'void*'
const parameters = koffi.struct({
  nthread: 'int32_t',
  ftype: 'int32_t',
  output_tensor_type: 'int32_t',
  token_embedding_type: 'int32_t',
  allow_requantize: 'bool',
  quantize_output_tensor: 'bool',
  only_copy: 'bool',
  pure: 'bool',
  keep_split: 'bool',
  dry_run: 'bool',
  imatrix: pointer,
  kv_overrides: pointer,
  tt_overrides: pointer,
  prune_layers: pointer,
  max_buf_size: 'size_t',
})
/** Ascending, and ended by -1. */
const dropped = Int32Array.of(3, 13, 14, 15, 16, 17, 18, 25, 26, 12, -1).sort((a, b) =>
  a < 0 ? 1 : b < 0 ? -1 : a - b,
)

/** The file's path; made on the first call. */
export function prunedDraft(modelPath: string, folder: string): string {
  const path = join(folder, 'pruned-draft.gguf')
  if (existsSync(path)) return path
  mkdirSync(folder, { recursive: true })
  loadLibrary({ backend: 'auto', host: process, log: silentLog })
  const [library] = findPackages('cpu', process)
  if (library === undefined) throw new Error('no llama.cpp library')
  const llama = koffi.load(library.llama)
  const defaults = llama.func('llama_model_quantize_default_params', parameters, []) as unknown as () => object
  const quantize = llama.func('llama_model_quantize', 'uint32_t', [
    'const char*',
    'const char*',
    koffi.pointer(parameters),
  ]) as unknown as (from: string, to: string, how: object) => number
  const layers: unknown = koffi.alloc('int32_t', dropped.length)
  new Int32Array(koffi.view(layers, dropped.byteLength)).set(dropped)
  const unfinished = `${path}.unfinished`
  const code = quantize(modelPath, unfinished, { ...defaults(), only_copy: true, nthread: 1, prune_layers: layers })
  if (code !== 0) throw new Error(`llama_model_quantize gave ${code}`)
  renameSync(unfinished, path)
  return path
}
