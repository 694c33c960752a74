/**
 * `paceline calibrate acceptance`: what a target takes of its draft's tokens, learned from replayed traffic, for one pair.
 *
 *     paceline calibrate acceptance --model target.gguf --draft draft.gguf --out pair.acceptance [--traffic requests.jsonl] [--requests 100]
 *
 * Without `--model` and `--draft` the pair of a resource file (`--file`, `--deployment`) is taken; without `--traffic` the target answers
 * everyday prompts. The last line is JSON: `source` and `sha256` as `spec.speculation.acceptance` wants them.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Failure } from '#contracts/failure.ts'
import type { ModelDeploymentSpec, ModelFile } from '#contracts/resources/modelDeployment.ts'
import { type Sampling, samplingDefaults } from '#contracts/sampling.ts'
import { type LearnedHead, saveAcceptanceHeads } from '../../gpu-worker/acceptanceHeadFile.ts'
import { learnAcceptance, type LearningOptions } from '../../gpu-worker/calibration/learnAcceptance.ts'
import { DraftReplay, type Picking, type ReplayOptions } from '../../gpu-worker/calibration/replayDraft.ts'
import { seedPrompts } from '../../gpu-worker/calibration/seedPrompts.ts'
import { readTraffic } from '../../gpu-worker/calibration/traffic.ts'
import {
  whatIsSaid,
  type WritingRequest,
  writeTexts,
  type WritingOptions,
  type Written,
} from '../../gpu-worker/calibration/writeTexts.ts'
import type { HeadExample } from '../../gpu-worker/core/speculation/stopping/acceptanceHead.ts'
import { drawingFor } from '../../gpu-worker/core/speculation/verifierChoice.ts'
import { meaningsOf, vocabularyFault } from '../../gpu-worker/draftVocabulary.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import type { Context } from '../context.ts'
import { parseFlags } from '../flags.ts'
import { obtainModel } from '../models.ts'
import { table } from '../terminal.ts'
import { withCacheDir } from '../up.ts'
import { openRunner, pairOf, parseNumber, type Range, seedPromptTokensMax } from './calibrationFlags.ts'

const options = {
  model: { type: 'string' },
  draft: { type: 'string' },
  file: { type: 'string' },
  deployment: { type: 'string' },
  out: { type: 'string' },
  traffic: { type: 'string' },
  requests: { type: 'string', default: '100' },
  'answer-tokens': { type: 'string', default: '128' },
  'context-tokens': { type: 'string', default: '2048' },
  temperature: { type: 'string' },
  'draft-tokens': { type: 'string', default: '8' },
  'draft-every': { type: 'string', default: '16' },
  'rejection-weight': { type: 'string', default: '1' },
  seed: { type: 'string', default: '1' },
  streams: { type: 'string', default: '16' },
  threads: { type: 'string' },
  'cache-dir': { type: 'string' },
} as const
type Flags = ReturnType<typeof parseFlags<typeof options>>

/** Kept back to examine the head. */
const heldOutShare = 0.2

export async function calibrateAcceptance(args: readonly string[], given: Context): Promise<number> {
  const flags = parseFlags('calibrate acceptance', args, options)
  const context = withCacheDir(given, flags['cache-dir'])
  if (flags.out === undefined)
    throw new Failure('invalid-configuration', 'calibrate acceptance: name the file to write with --out')
  const settings = settingsOf(flags)
  const pair = await pairFiles(flags, context)
  const { threads, contextTokensMax, streams } = settings
  await using target = await openRunner(pair.target.path, context, { slots: streams, contextTokensMax, threads })
  await using draft = await openRunner(pair.draft.path, context, { slots: 1, contextTokensMax, threads })
  const fault = vocabularyFault(meaningsOf(target), meaningsOf(draft))
  if (fault !== null) throw new Failure('invalid-configuration', `these two are no pair: ${fault}`)
  const { traffic } = flags
  const requests =
    traffic === undefined
      ? seedPrompts(settings.requests, settings.learning.seed)
      : await readTraffic(resolve(traffic), settings.requests)
  const temperature = settings.temperature ?? pair.sampling.temperature ?? samplingDefaults.temperature
  const writing = { ...settings.writing, temperature, defaults: pair.sampling }
  const texts = await written(target, requests, writing, context)
  const heads = await learned({ target, draft, texts, options: settings.replay, context }, settings.learning)
  const { rejectionWeight } = settings.learning
  const sha256s = { target: pair.target.sha256, draft: pair.draft.sha256 }
  const content = await saveAcceptanceHeads(flags.out, { pair: sha256s, rejectionWeight, heads })
  for (const line of reportOf(heads)) context.terminal.line(line)
  // What a resource names the file by.
  const file = {
    source: `file://${resolve(flags.out)}`,
    sha256: createHash('sha256').update(content).digest('hex'),
  }
  context.terminal.line(JSON.stringify(file))
  return 0
}

interface Settings {
  readonly requests: number
  readonly streams: number
  readonly threads: number
  readonly contextTokensMax: number
  /** null: what the pair gives requests that do not say it. */
  readonly temperature: number | null
  readonly writing: { readonly tokensMax: number; readonly seed: number }
  readonly replay: ReplayOptions
  readonly learning: LearningOptions
}

function settingsOf(flags: Flags): Settings {
  const number = (name: keyof typeof options, range: Range) => parseNumber(name, flags[name], range)
  const seed = number('seed', { least: 0, most: 2 ** 32 - 1 })
  const answer = number('answer-tokens', { least: 3, most: 4_096 })
  const draft = number('draft-tokens', { least: 1, most: 64 })
  const context = number('context-tokens', { least: 64, most: 1_048_576 })
  return {
    requests: number('requests', { least: 2, most: 100_000 }),
    streams: number('streams', { least: 1, most: 256 }),
    threads: flags.threads === undefined ? availableParallelism() : number('threads', { least: 1, most: 512 }),
    // Everyday prompts are short, and what is not needed is memory of each stream.
    contextTokensMax: flags.traffic === undefined ? answer + seedPromptTokensMax + draft : context,
    temperature: flags.temperature === undefined ? null : number('temperature', { least: 0, most: 2, fraction: true }),
    writing: { tokensMax: answer, seed },
    replay: {
      lengthMax: draft,
      draftEvery: number('draft-every', { least: 1, most: 4_096 }),
    },
    learning: {
      rejectionWeight: number('rejection-weight', { least: 1, most: 100, fraction: true }),
      heldOutShare,
      seed,
    },
  }
}

interface PairFiles {
  readonly target: OwnFile
  readonly draft: OwnFile
  /** What its requests get that do not say it. */
  readonly sampling: NonNullable<WritingRequest['sampling']>
}

interface OwnFile {
  readonly path: string
  readonly sha256: string
}

async function pairFiles(flags: Flags, context: Context): Promise<PairFiles> {
  const { model, draft } = flags
  if ((model === undefined) !== (draft === undefined))
    throw new Failure('invalid-configuration', 'calibrate acceptance: name both --model and --draft, or neither')
  if (model !== undefined && draft !== undefined)
    return { target: await hashed(model), draft: await hashed(draft), sampling: {} }
  const { spec } = await pairOf('calibrate acceptance', flags, context)
  if (spec.draft === undefined)
    throw new Failure('invalid-configuration', 'calibrate acceptance: this pair has no draft; add spec.draft first')
  const obtained = async (file: ModelFile) => ({ path: await obtainModel(file, context), sha256: file.sha256 })
  return { target: await obtained(spec.target), draft: await obtained(spec.draft), sampling: saidOf(spec.sampling) }
}

async function hashed(given: string): Promise<OwnFile> {
  const path = resolve(given)
  const hash = createHash('sha256')
  try {
    await pipeline(createReadStream(path), hash)
  } catch (cause) {
    throw new Failure('invalid-configuration', `the model ${path} cannot be read: ${String(cause)}`, { cause })
  }
  return { path, sha256: hash.digest('hex') }
}

/** In the order of the requests, so that what is learned does not depend on how many are written at a time. */
async function written(
  target: ModelRunner,
  requests: readonly (string | WritingRequest)[],
  writing: WritingOptions,
  { terminal, interrupts }: Context,
): Promise<Written[]> {
  const texts: Written[] = []
  let tooLong = 0
  const heard = { ...writing, onTooLong: () => void (tooLong += 1) }
  for await (const text of writeTexts(target, requests, heard)) {
    interrupts.first.throwIfAborted()
    texts.push(text)
    terminal.progress(`${texts.length} of ${requests.length} requests answered`)
  }
  if (tooLong > 0) terminal.line(`${tooLong} requests left out: no room for an answer within --context-tokens`)
  return texts.sort((a, b) => a.number - b.number)
}

/** Of what can be processed into a law; penalties are not. */
function saidOf({ temperature, topP, topK, minP }: ModelDeploymentSpec['sampling']): PairFiles['sampling'] {
  return whatIsSaid({ temperature, topP, topK, minP })
}

interface Replay {
  readonly target: ModelRunner
  readonly draft: ModelRunner
  readonly texts: readonly Written[]
  readonly options: ReplayOptions
  readonly context: Context
}

/** Examples of each text. */
async function replayed({ target, draft, texts, options: replay, context }: Replay, picking: Picking) {
  const replaying = new DraftReplay(target, draft, replay)
  const examples: HeadExample[][] = []
  for (const { prompt, answer, sampling } of texts) {
    context.interrupts.first.throwIfAborted()
    const { temperature, topK, minP, topP } = sampling
    examples.push(
      await replaying.examplesOf({ prompt, answer, processing: { temperature, topK, minP, topP } }, picking),
    )
    context.terminal.progress(`${examples.length} of ${texts.length} answers replayed (${picking})`)
  }
  return examples
}

interface Learned {
  readonly best: LearnedHead
  /** null: too few requests are drawn for. */
  readonly drawn: LearnedHead | null
}

async function learned(replay: Replay, learning: LearningOptions): Promise<Learned> {
  const { texts } = replay
  const best = learnAcceptance(await replayed(replay, 'coupled'), learning)
  if (best === null)
    throw new Failure('invalid-configuration', `${texts.length} answered requests are too few to learn from; give more`)
  const warm = texts.filter(({ sampling }) => isDrawnFor(sampling))
  return { best, drawn: learnAcceptance(await replayed({ ...replay, texts: warm }, 'drawn'), learning) }
}

/** As the worker drafts for such a request where it brings no seed. */
const isDrawnFor = (sampling: Sampling) =>
  drawingFor({ ...sampling, seedDrawn: true }, { hasGrammar: false, seed: 0, lawsPay: true })?.kind === 'own-chance'

function reportOf({ best, drawn }: Learned): string[] {
  return [
    'coupled tokens, for greedy requests and those with a seed',
    ...linesOf(best),
    'drawn tokens, for requests without a seed',
    ...(drawn === null ? ['too few requests are warm enough'] : linesOf(drawn)),
  ]
}

function linesOf({ heldOut, trained }: LearnedHead): string[] {
  const share = (value: number) => value.toFixed(3)
  const rows = heldOut.calibration.map(({ from, to, examples, predicted, cameTrue }) => [
    `${from.toFixed(1)} to ${to.toFixed(1)}`,
    share(predicted),
    share(cameTrue),
    String(examples),
  ])
  return [
    `learned from ${trained.examples} draft tokens of ${trained.requests} requests; examined on ${heldOut.examples} of ${heldOut.requests} others`,
    `loss ${share(heldOut.loss)}; of the best constant ${share(heldOut.lossOfConstant)}`,
    `predicted and true are ${share(heldOut.error)} apart; with the draft's own probabilities ${share(heldOut.errorOfDraft)}`,
    ...table(['CHANCE', 'PREDICTED', 'CAME TRUE', 'TOKENS'], rows),
  ]
}
