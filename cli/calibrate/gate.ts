/**
 * `paceline calibrate gate`: the pre-gate of a deployment with experts, from prompts that are labelled with the expert they are for.
 *
 *     paceline calibrate gate --model model.gguf --prompts labelled.jsonl --out smol.gate [--held-out 0.2] [--seed 1]
 *
 * Without `--model` the model of a resource file (`--file`, `--deployment`) is taken: of it only the tokenizer is used. A part of the
 * prompts is held back to say how good the gate is on what it has not seen. The last line is JSON: what a resource names the file by.
 */
import { createHash } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { FeatureForm } from '#algorithms/preGate/features.ts'
import { readPreGate, writePreGate } from '#algorithms/preGate/gateFile.ts'
import {
  type Evaluation,
  evaluatePreGate,
  formDefaults,
  type Labelled,
  splitExamples,
  trainingDefaults,
  trainPreGate,
} from '#algorithms/preGate/train.ts'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { tokenizerDigest } from '../../gpu-worker/trigramTableFile.ts'
import type { Context } from '../context.ts'
import { parseFlags } from '../flags.ts'
import { obtainModel } from '../models.ts'
import { table } from '../terminal.ts'
import { withCacheDir } from '../up.ts'
import { openRunner, pairOf, parseNumber, type Range } from './calibrationFlags.ts'
import { type LabelledPrompt, readLabelledPrompts } from './labelledPrompts.ts'

const options = {
  model: { type: 'string' },
  file: { type: 'string' },
  deployment: { type: 'string' },
  prompts: { type: 'string', multiple: true },
  out: { type: 'string' },
  'held-out': { type: 'string', default: '0.2' },
  'buckets-log2': { type: 'string', default: String(Math.log2(formDefaults.buckets)) },
  'gram-tokens': { type: 'string', default: String(formDefaults.gramMax) },
  'prompt-tokens': { type: 'string', default: String(formDefaults.tokensMax) },
  epochs: { type: 'string', default: String(trainingDefaults.epochs) },
  seed: { type: 'string', default: '1' },
  'cache-dir': { type: 'string' },
} as const
type Flags = ReturnType<typeof parseFlags<typeof options>>

export async function calibrateGate(args: readonly string[], given: Context): Promise<number> {
  const flags = parseFlags('calibrate gate', args, options)
  const context = withCacheDir(given, flags['cache-dir'])
  if (flags.out === undefined)
    throw new Failure('invalid-configuration', 'calibrate gate: name the file to write with --out')
  const settings = settingsOf(flags)
  const prompts = await readAll(flags.prompts ?? [])
  checkRoom(prompts, settings.form)
  const modelPath = resolve(flags.model ?? (await modelOf(flags, context)))
  await using runner = await openRunner(modelPath, context, { slots: 1, contextTokensMax: 64, threads: 1 })
  const examples = prompts.map(({ text, expert }) => ({ tokens: tokensOf(runner, text), expert }))
  const { kept, heldOut } = splitExamples(examples, settings.heldOutShare, settings.seed)
  const examined = evaluatePreGate(trainPreGate(kept, settings), heldOut)
  for (const line of reportOf(examined, kept)) context.terminal.line(line)
  context.interrupts.first.throwIfAborted()
  // What is served has learned from every prompt; what was held back has said how good such a gate is.
  const content = writePreGate(trainPreGate(examples, settings), tokenizerDigest(runner))
  await save(flags.out, content)
  const { digest, tokenizer, experts } = readPreGate(content)
  // What a resource names the file by.
  const file = {
    source: `file://${resolve(flags.out)}`,
    sha256: createHash('sha256').update(new Uint8Array(content)).digest('hex'),
  }
  const measured = { prompts: examined.examples, right: examined.right, logLoss: Number(examined.logLoss.toFixed(4)) }
  context.terminal.line(JSON.stringify({ ...file, digest, tokenizer, experts, heldOut: measured }))
  return 0
}

function settingsOf(flags: Flags) {
  const number = (name: keyof typeof options, range: Range) => parseNumber(name, flags[name], range)
  const form: FeatureForm = {
    buckets: 2 ** number('buckets-log2', { least: 6, most: 20 }),
    gramMax: number('gram-tokens', { least: 1, most: 8 }),
    tokensMax: number('prompt-tokens', { least: 1, most: 4_096 }),
  }
  return {
    ...trainingDefaults,
    form,
    epochs: number('epochs', { least: 1, most: 1_000 }),
    seed: number('seed', { least: 0, most: 2 ** 32 - 1 }),
    heldOutShare: number('held-out', { least: 0, most: 0.9, fraction: true }),
  }
}

async function readAll(paths: readonly string[]): Promise<LabelledPrompt[]> {
  if (paths.length === 0)
    throw new Failure('invalid-configuration', 'calibrate gate: name the labelled prompts with --prompts')
  const prompts: LabelledPrompt[] = []
  for (const path of paths) prompts.push(...(await readLabelledPrompts(resolve(path))))
  if (prompts.length >= 2) return prompts
  throw new Failure('invalid-configuration', `${paths.join(', ')}: ${prompts.length} labelled prompts teach nothing`)
}

function checkRoom(prompts: readonly LabelledPrompt[], { buckets }: FeatureForm): void {
  const experts = new Set(prompts.map(({ expert }) => expert)).size
  if (experts > limits.experts.expertsMax)
    throw new Failure(
      'invalid-configuration',
      `the prompts name ${experts} experts; a deployment has at most ${limits.experts.expertsMax}`,
    )
  const bytes = 4 * experts * buckets
  if (bytes > limits.experts.gateBytesMax)
    throw new Failure(
      'invalid-configuration',
      `a gate of ${experts} experts and ${buckets} buckets takes ${bytes} bytes, over ${limits.experts.gateBytesMax}: lower --buckets-log2`,
    )
}

async function modelOf(flags: Flags, context: Context): Promise<string> {
  const { spec } = await pairOf('calibrate gate', flags, context)
  return obtainModel(spec.target, context)
}

const tokensOf = (runner: ModelRunner, text: string) => runner.tokenize(text, { parseSpecial: false, addBegin: false })

/** Under another name first: a reader never sees half a gate. */
async function save(path: string, content: ArrayBuffer): Promise<void> {
  const unfinished = `${path}.unfinished`
  try {
    await writeFile(unfinished, new Uint8Array(content))
    await rename(unfinished, path)
  } finally {
    await rm(unfinished, { force: true })
  }
}

function reportOf({ examples, right, logLoss, byExpert }: Evaluation, kept: readonly Labelled[]): string[] {
  const rows = Object.entries(byExpert).map(([expert, own]) => [
    expert,
    String(kept.filter((each) => each.expert === expert).length),
    String(own.examples),
    String(own.right),
  ])
  return [
    ...table(['EXPERT', 'LEARNED FROM', 'HELD OUT', 'OF THOSE RIGHT'], rows),
    `${right} of ${examples} held-out prompts go to their expert; log loss ${logLoss.toFixed(4)}`,
  ]
}
