/**
 * `paceline calibrate trigram`: the tri-gram table of a model, from text files, or from text that the model itself writes.
 *
 *     paceline calibrate trigram --model model.gguf --out smol.trigrams [--text notes.txt …] [--tokens 200000] [--seed 1]
 *
 * Without `--model` the model of a resource file (`--file`, `--deployment`) is taken. The last line is JSON: what was built.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import { seedPrompts } from '../../gpu-worker/calibration/seedPrompts.ts'
import { writeTexts } from '../../gpu-worker/calibration/writeTexts.ts'
import { TrigramCounter } from '../../gpu-worker/core/speculation/proposers/trigramCounter.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { loadTrigramTable, saveTrigramTable, tokenizerDigest } from '../../gpu-worker/trigramTableFile.ts'
import type { Context } from '../context.ts'
import { parseFlags } from '../flags.ts'
import { obtainModel } from '../models.ts'
import { withCacheDir } from '../up.ts'
import { openRunner, pairOf, parseNumber, type Range, seedPromptTokensMax } from './calibrationFlags.ts'

const options = {
  model: { type: 'string' },
  file: { type: 'string' },
  deployment: { type: 'string' },
  out: { type: 'string' },
  text: { type: 'string', multiple: true },
  tokens: { type: 'string', default: '200000' },
  'answer-tokens': { type: 'string', default: '192' },
  temperature: { type: 'string', default: '0.5' },
  seed: { type: 'string', default: '1' },
  'sightings-min': { type: 'string', default: '1' },
  streams: { type: 'string', default: '16' },
  threads: { type: 'string' },
  'cache-dir': { type: 'string' },
} as const

export async function calibrateTrigram(args: readonly string[], given: Context): Promise<number> {
  const flags = parseFlags('calibrate trigram', args, options)
  const context = withCacheDir(given, flags['cache-dir'])
  if (flags.out === undefined)
    throw new Failure('invalid-configuration', 'calibrate trigram: name the file to write with --out')
  const number = (name: keyof typeof options, range: Range) => parseNumber(name, flags[name], range)
  const modelPath = resolve(flags.model ?? (await modelOf(flags, context)))
  await using runner = await openRunner(modelPath, context, {
    slots: number('streams', { least: 1, most: 256 }),
    contextTokensMax: number('answer-tokens', { least: 3, most: 4_096 }) + seedPromptTokensMax,
    threads: flags.threads === undefined ? availableParallelism() : number('threads', { least: 1, most: 512 }),
  })
  const counter = new TrigramCounter({
    vocabularySize: runner.info.vocabularySize,
    tokenizer: tokenizerDigest(runner),
    sightingsMin: number('sightings-min', { least: 1, most: 1e6 }),
  })
  for (const path of flags.text ?? []) counter.add(tokensOf(runner, await readFile(path, 'utf8')))
  if (flags.text === undefined)
    await countOwnTexts(runner, counter, context, {
      tokensMin: number('tokens', { least: 3, most: 1e7 }),
      tokensMax: number('answer-tokens', { least: 3, most: 4_096 }),
      temperature: number('temperature', { least: 0, most: 2, fraction: true }),
      seed: number('seed', { least: 0, most: 2 ** 32 - 1 }),
    })
  const built = counter.build()
  await saveTrigramTable(flags.out, built)
  const { digest, tokenizer, bigrams, entries, tokensSeen, bytes } = await loadTrigramTable(flags.out)
  // What a resource names the file by.
  const file = {
    source: `file://${resolve(flags.out)}`,
    sha256: createHash('sha256').update(new Uint8Array(built)).digest('hex'),
  }
  context.terminal.line(JSON.stringify({ ...file, digest, tokenizer, bigrams, entries, tokensSeen, bytes }))
  return 0
}

async function countOwnTexts(
  runner: ModelRunner,
  counter: TrigramCounter,
  { terminal, interrupts }: Context,
  { tokensMin, ...writing }: { tokensMin: number; tokensMax: number; temperature: number; seed: number },
): Promise<void> {
  const prompts = seedPrompts(tokensMin, writing.seed)
  const early = new Map<number, readonly number[]>()
  let next = 0
  for await (const { number, prompt, answer } of writeTexts(runner, prompts, writing)) {
    interrupts.first.throwIfAborted()
    // An answer's first tri-grams begin in its prompt. Counted in the order of the prompts: short answers end first everywhere,
    // and which texts are counted must not depend on how many are written at a time.
    early.set(number, [...prompt.slice(-2), ...answer])
    for (;;) {
      const text = early.get(next)
      if (text === undefined || counter.tokensSeen >= tokensMin) break
      counter.add(text)
      early.delete(next)
      next += 1
    }
    terminal.progress(`${counter.tokensSeen} of ${tokensMin} tokens written`)
    if (counter.tokensSeen >= tokensMin) return
  }
}

const tokensOf = (runner: ModelRunner, text: string) => runner.tokenize(text, { parseSpecial: false, addBegin: false })

async function modelOf(flags: { file?: string; deployment?: string }, context: Context): Promise<string> {
  const { spec } = await pairOf('calibrate trigram', flags, context)
  return obtainModel(spec.target, context)
}
