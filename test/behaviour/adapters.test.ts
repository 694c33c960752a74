/**
 * LoRA adapters on the real model: they change what it writes, each in its own way, and leave no trace when they are detached; what
 * does not fit is refused with a reason, and what is in use is not freed.
 */
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLog } from '#runtime/log.ts'
import { AdapterShelf, type NativeAdapter } from '../../gpu-worker/llama/adapters.ts'
import { loadLibrary } from '../../gpu-worker/llama/library.ts'
import { ggufBytes, writeLoraFile } from '../../gpu-worker/llama/loraFile.fixture.ts'
import { NativeContext } from '../../gpu-worker/llama/nativeContext.ts'
import { NativeModel } from '../../gpu-worker/llama/nativeModel.ts'
import { Vocabulary } from '../../gpu-worker/llama/vocabulary.ts'
import { testModel } from './modelRunnerModel.ts'

const found = testModel()
if (found.kind === 'missing') console.warn(`adapters are not tested on a real model: ${found.reason}`)
const base = found.kind === 'missing' ? '' : found.path

describe.skipIf(found.kind === 'missing')('adapters of the real model', () => {
  let folder = ''
  let model: NativeModel
  let context: NativeContext
  let shelf: AdapterShelf
  let prompt: number[] = []
  let vocabularySize = 0
  const fileOf = (name: string) => join(folder, `${name}.gguf`)

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'adapters-'))
    for (const seed of [1, 2]) await writeLoraFile(fileOf(`random-${seed}`), base, { seed })
    model = await NativeModel.load(loadLibrary({ backend: 'auto', host: process, log: silentLog }), base)
    context = await NativeContext.open(model, {
      sequences: 1,
      cellsMax: 256,
      kvType: 'q8_0',
      kvLayout: 'split',
      batchTokensMax: 256,
      microBatchTokensMax: 256,
      threads: 1,
      embeddings: false,
    })
    shelf = new AdapterShelf(model)
    const vocabulary = new Vocabulary(model)
    vocabularySize = vocabulary.size
    prompt = vocabulary.tokenize('The capital of France is', { parseSpecial: false, addBegin: false })
  })
  afterAll(async () => {
    context?.[Symbol.dispose]()
    model?.[Symbol.dispose]()
    await rm(folder, { recursive: true, force: true })
  })

  /** Greedy, from an empty cache. */
  const write = async (adapter: NativeAdapter | null, tokens = 8): Promise<number[]> => {
    context.attach(adapter)
    context.truncate(0, 0)
    const text: number[] = []
    let span = { slot: 0, position: 0, tokens: prompt, logitsForLast: 1 }
    while (text.length < tokens) {
      expect(await context.decode([span], { isBrief: true })).toBe('decoded')
      const logits = context.logits(0, vocabularySize)
      let best = 0
      for (let token = 1; token < logits.length; token++) if ((logits[token] ?? 0) > (logits[best] ?? 0)) best = token
      text.push(best)
      span = { slot: 0, position: span.position + span.tokens.length, tokens: [best], logitsForLast: 1 }
    }
    return text
  }

  test('each changes the text in its own way, always the same, and nothing stays behind', async () => {
    const plain = await write(null)
    using first = await shelf.load('one', fileOf('random-1'))
    using second = await shelf.load('two', fileOf('random-2'))
    expect(first.bytes).toBe((await stat(fileOf('random-1'))).size)
    const one = await write(first)
    const two = await write(second)
    expect(one).not.toEqual(plain)
    expect(two).not.toEqual(plain)
    expect(two).not.toEqual(one)
    expect(await write(first)).toEqual(one)
    using again = await shelf.load('one again', fileOf('random-1'))
    expect(await write(again)).toEqual(one)
    expect(await write(null)).toEqual(plain)
  })

  test('that reaches nowhere changes nothing', async () => {
    await writeLoraFile(fileOf('zero'), base, { seed: 3, spread: 0 })
    using zero = await shelf.load('zero', fileOf('zero'))
    expect(await write(zero)).toEqual(await write(null))
  })

  test('one that was let go while attached lives on until it is detached', async () => {
    const adapter = await shelf.load('one', fileOf('random-1'))
    const before = await write(adapter)
    adapter[Symbol.dispose]()
    expect(context.adapter).toBe(adapter)
    context.truncate(0, 0)
    context.attach(null)
    expect(() => context.attach(adapter)).toThrow(/disposed|held/)
    using again = await shelf.load('one', fileOf('random-1'))
    expect(await write(again)).toEqual(before)
    context.attach(null)
  })

  test('another loads while the context decodes', async () => {
    const [text, adapter] = await Promise.all([write(null), shelf.load('two', fileOf('random-2'))])
    adapter[Symbol.dispose]()
    expect(await write(null)).toEqual(text)
  })

  describe('refused with a reason', () => {
    const refused = async (name: string, bytes: Uint8Array | null, reason: string) => {
      if (bytes !== null) await writeFile(fileOf(name), bytes)
      const loading = shelf.load(name, fileOf(name))
      await expect(loading).rejects.toThrow(reason)
      await expect(loading).rejects.toMatchObject({ code: 'model-unusable' })
      await expect(loading).rejects.toThrow(`${name}.gguf`)
    }
    const settings = (changes: Record<string, string | number> = {}) => ({
      'general.type': 'adapter',
      'general.architecture': 'llama',
      'adapter.type': 'lora',
      'adapter.lora.alpha': 16,
      ...changes,
    })
    const pair = (name: string, width: number, height: number) => [
      { name: `${name}.lora_a`, shape: [width, 4], values: new Float32Array(4 * width) },
      { name: `${name}.lora_b`, shape: [4, height], values: new Float32Array(4 * height) },
    ]

    test('a file that is none, or none of an adapter', async () => {
      await refused('missing', null, 'cannot be read')
      await refused('text', Buffer.from('not a model'), 'does not start with GGUF')
      await refused(
        'model',
        ggufBytes({ 'general.architecture': 'llama' }, []),
        'is no adapter: its general.type is null',
      )
      await refused('vector', ggufBytes(settings({ 'adapter.type': 'alora' }), []), 'is no LoRA adapter')
      await refused('alpha', ggufBytes(settings({ 'adapter.lora.alpha': 'much' }), []), 'is no float32')
    })

    test('one for another base: of another architecture, other weights, or other shapes', async () => {
      await refused(
        'gemma',
        ggufBytes(settings({ 'general.architecture': 'gemma3' }), []),
        'is for another base, of architecture "gemma3" and not "llama"',
      )
      const unknown = ggufBytes(settings(), pair('blk.99.attn_q.weight', 576, 576))
      await refused('deeper', unknown, "'blk.99.attn_q.weight' does not exist in base model")
      const wider = ggufBytes(settings(), pair('blk.0.attn_q.weight', 640, 640))
      await refused('wider', wider, 'has incorrect shape')
      await refused('cut', ggufBytes(settings(), pair('blk.0.attn_q.weight', 576, 576)).subarray(0, 900), 'file bounds')
      using good = await shelf.load('one', fileOf('random-1'))
      expect(good.name).toBe('one')
    })
  })
})
