/**
 * `paceline calibrate cascade`: from labelled traffic of a cascade's step to the threshold over which its answers are kept, as a ConfigMap.
 *
 *     paceline calibrate cascade --traffic labelled.jsonl --step smol --name smol-calibration --out smol-calibration.yaml
 *         [--url http://127.0.0.1:8080] [--judge smol] [--references references.jsonl] [--error-rate-max 0.1] [--confidence 0.9]
 *         [--file resources.yaml | --unpinned]
 *
 * Asked are the deployments of a running router (`PACELINE_API_KEY` where it wants one), or, with `--model`, a model file opened here. What is found is bound to the
 * models' files; `--file` or `--unpinned` is for a router that does not name them.
 * Without `--references` some of the traffic becomes references; what was looked at for that is no label then. What is proved and how: `algorithms/riskBound.ts`.
 */
import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type CascadeCalibration, type CascadeReference, type JudgePrior } from '#contracts/calibration.ts'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { judgePrompts, noPrior, priorOf, priorPrompts, scoreOfAnswer } from '../../router/core/judgement.ts'
import { chosenInstance } from '../chosenInstance.ts'
import type { Context } from '../context.ts'
import { parseChoice, parseFlags } from '../flags.ts'
import { resourcesIn } from '../models.ts'
import { parseNumber, type Range } from './calibrationFlags.ts'
import { configMapOf, documentOf, type LabelledAnswer } from './cascadeDocument.ts'
import { cascadeReport } from './cascadeReport.ts'
import { drawReferences } from './drawReferences.ts'
import {
  isExpected,
  type LabelledLine,
  type Matching,
  matchings,
  readReferencesFile,
  readTraffic,
} from './labelledTraffic.ts'
import { LocalModels } from './localModels.ts'
import { RoutedModels } from './routedModels.ts'
import type { ModelDigests, StepModels } from './stepModels.ts'

const options = {
  traffic: { type: 'string', multiple: true },
  references: { type: 'string' },
  'reference-count': { type: 'string', default: '6' },
  step: { type: 'string' },
  judge: { type: 'string' },
  name: { type: 'string' },
  out: { type: 'string' },
  'error-rate-max': { type: 'string', default: '0.1' },
  confidence: { type: 'string', default: '0.9' },
  match: { type: 'string', default: 'contains' },
  tokens: { type: 'string' },
  'answer-tokens': { type: 'string', default: '256' },
  temperature: { type: 'string' },
  seed: { type: 'string', default: '1' },
  url: { type: 'string' },
  port: { type: 'string' },
  file: { type: 'string' },
  unpinned: { type: 'boolean', default: false },
  model: { type: 'string' },
  'judge-model': { type: 'string' },
  'context-tokens': { type: 'string', default: '2048' },
  threads: { type: 'string' },
} as const
type Flags = ReturnType<typeof parseFlags<typeof options>>

export async function calibrateCascade(args: readonly string[], context: Context): Promise<number> {
  const flags = parseFlags('calibrate cascade', args, options)
  const settings = settingsOf(flags)
  const read = (await Promise.all((flags.traffic ?? []).map((path) => readTraffic(resolve(path))))).flat()
  if (read.length === 0) throw wrong('name labelled traffic with --traffic')
  const lines = distinct(read)
  if (lines.length < read.length)
    context.terminal.line(
      `${read.length - lines.length} of ${read.length} lines say what another one says: they count once`,
    )
  const given = flags.references === undefined ? null : await readReferencesFile(resolve(flags.references))
  await using asked = openModels(flags, settings, { context, referenceCount: given?.length ?? settings.referenceCount })
  const digests = await asked.digests()
  const models = await modelsOf(flags, settings, digests, context)
  const answers = await answered(asked, lines, settings, context)
  const { references, labelled } =
    given === null
      ? drawReferences(answers, settings.referenceCount, settings.seed)
      : { references: given, labelled: answers }
  if (given === null)
    context.terminal.line(
      `${references.length} references cost ${answers.length - labelled.length} of ${answers.length} labels: all that were looked at to find them`,
    )
  const prior = priorOf(await asked.judge(priorPrompts()))
  const scored = await judged(asked, labelled, { references, prior }, context)
  if (!isDeepStrictEqual(await asked.digests(), digests))
    throw wrong('another model was rolled out meanwhile; run it again')
  const { step, judge, guarantee, judgedTokens } = settings
  const calibrated = { step, judge, references, prior, answers: scored, guarantee, judgedTokens, models }
  const document = documentOf(calibrated)
  for (const line of cascadeReport(document, scored)) context.terminal.line(line)
  await writeFile(resolve(settings.out), configMapOf(settings.name, references, document))
  context.terminal.line(nextStep(settings, document))
  return 0
}

interface Settings {
  readonly step: string
  readonly judge: string
  readonly name: string
  readonly out: string
  readonly guarantee: { readonly errorRateMax: number; readonly confidence: number }
  readonly matching: Matching
  readonly judgedTokens: number | null
  readonly tokensMax: number
  readonly temperature: number | null
  readonly seed: number
  readonly referenceCount: number
  readonly contextTokensMax: number
  readonly threads: number
}

function settingsOf(flags: Flags): Settings {
  const number = (flag: keyof typeof options, range: Range) => parseNumber(flag, flags[flag], range)
  const optional = (flag: keyof typeof options, range: Range) =>
    flags[flag] === undefined ? null : number(flag, range)
  const { step, name, out } = flags
  if (step === undefined) throw wrong('name the ModelDeployment that answers with --step')
  if (name === undefined || !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name))
    throw wrong('name the ConfigMap with --name: lower-case letters, digits, "-" and "."')
  if (out === undefined) throw wrong('name the file to write with --out')
  return {
    step,
    judge: flags.judge ?? step,
    name,
    out,
    guarantee: {
      errorRateMax: number('error-rate-max', { least: 0.001, most: 0.999, fraction: true }),
      confidence: number('confidence', { least: 0.5, most: 0.999, fraction: true }),
    },
    matching: parseChoice('--match', flags.match, matchings),
    judgedTokens: optional('tokens', { least: 4, most: 512 }),
    tokensMax: number('answer-tokens', { least: 1, most: 4_096 }),
    temperature: optional('temperature', { least: 0, most: 2, fraction: true }),
    seed: number('seed', { least: 0, most: 2 ** 32 - 1 }),
    referenceCount: number('reference-count', { least: 2, most: limits.calibration.referencesMax }),
    contextTokensMax: number('context-tokens', { least: 64, most: 1_048_576 }),
    threads: optional('threads', { least: 1, most: 512 }) ?? availableParallelism(),
  }
}

/** The same label twice proves nothing more. */
function distinct(lines: readonly LabelledLine[]): LabelledLine[] {
  return [...new Map(lines.map((line) => [JSON.stringify(line), line])).values()]
}

/**
 * Files of which the calibration speaks: what answers now, else what the resource files name. Where nobody knows them, a change of model
 * would go unnoticed, so that has to be asked for.
 */
async function modelsOf(flags: Flags, { step, judge }: Settings, now: ModelDigests, { terminal }: Context) {
  const inFiles = flags.file === undefined ? () => undefined : await digestsIn(flags.file)
  const digests = { step: now.step ?? inFiles(step) ?? null, judge: now.judge ?? inFiles(judge) ?? null }
  const unknown = [...new Set([...(digests.step === null ? [step] : []), ...(digests.judge === null ? [judge] : [])])]
  if (unknown.length > 0 && !flags.unpinned)
    throw wrong(
      `the router does not say which file is behind ${unknown.join(' and ')}; name the resource files with --file, or say --unpinned: a change of model is then not noticed`,
    )
  const isFile = (digest: string | null): digest is string => digest !== null && digest !== 'simulated'
  if (!isFile(digests.step) || !isFile(digests.judge))
    terminal.line('not bound to a model: if another one is served under this name, calibrate anew; nobody notices it')
  return {
    ...(isFile(digests.step) ? { step: digests.step } : {}),
    ...(isFile(digests.judge) ? { judge: digests.judge } : {}),
  }
}

async function digestsIn(file: string): Promise<(name: string) => string | undefined> {
  const { deployments } = await resourcesIn(resolve(file))
  return (name) => {
    const found = deployments.find(({ metadata }) => metadata.name === name)
    if (found === undefined) throw wrong(`${file} has no ModelDeployment ${name}`)
    return found.spec.target?.sha256
  }
}

function openModels(
  flags: Flags,
  { step, judge, judgedTokens, tokensMax, temperature, seed, contextTokensMax, threads }: Settings,
  { context, referenceCount }: { readonly context: Context; readonly referenceCount: number },
): StepModels {
  const form = { judgedTokens, tokensMax, temperature, seed }
  const { model, url, port, 'judge-model': judgeModel } = flags
  if (model !== undefined) {
    const [stepPath, judgePath] = [resolve(model), resolve(judgeModel ?? model)]
    const judgeSlots = 2 * referenceCount
    return new LocalModels({ stepPath, judgePath, contextTokensMax, judgeSlots, threads, form }, context)
  }
  return new RoutedModels({
    url: (url ?? `http://127.0.0.1:${chosenInstance(port, context).port}`).replace(/\/+$/, ''),
    key: context.config.environment['PACELINE_API_KEY'],
    step,
    judge,
    form,
    clock: context.clock,
    signal: context.interrupts.first,
  })
}

/** As the judge will see them: what the step says where no answer is given, up to where it is judged. */
async function answered(
  models: StepModels,
  lines: readonly LabelledLine[],
  { matching, judgedTokens }: Settings,
  { terminal }: Context,
): Promise<LabelledAnswer[]> {
  const open = lines.filter((line) => line.kind === 'expected' && line.answer === null)
  if (judgedTokens !== null && open.length < lines.length)
    throw wrong(
      'with --tokens every line needs expected and no answer: where an answer is cut is seen as it is written',
    )
  const onDone = (count: number) => terminal.progress(`${count} of ${open.length} questions answered`)
  const said =
    open.length === 0
      ? []
      : await models.answer(
          open.map(({ question }) => question),
          onDone,
        )
  const own = new Map(open.map((line, i) => [line, said[i]]))
  return lines.map((line) => {
    const { question } = line
    if (line.kind === 'judged') return { question, answer: line.answer, correct: line.correct, score: null }
    const answer = line.answer ?? own.get(line)?.text ?? ''
    const correct = isExpected(answer, line.expected, matching)
    return { question, answer: own.get(line)?.beginning ?? answer, correct, score: null }
  })
}

async function judged(
  models: StepModels,
  answers: readonly LabelledAnswer[],
  { references, prior }: { readonly references: readonly CascadeReference[]; readonly prior: JudgePrior | null },
  { terminal, interrupts }: Context,
): Promise<LabelledAnswer[]> {
  const scored: LabelledAnswer[] = [...answers]
  let next = 0
  let done = 0
  const work = async () => {
    for (let number = next++; number < answers.length; number = next++) {
      interrupts.first.throwIfAborted()
      const each = answers[number]
      if (each === undefined) continue
      const said = await models.judge(judgePrompts(each, references))
      scored[number] = { ...each, score: scoreOfAnswer(said, references, prior ?? noPrior) }
      done += 1
      terminal.progress(`${done} of ${answers.length} answers judged`)
    }
  }
  await Promise.all(Array.from({ length: models.judgedAtOnce }, work))
  return scored
}

function nextStep({ name, out, step, judge, judgedTokens }: Settings, { threshold }: CascadeCalibration): string {
  if (threshold === null) return `${out}: written, and keeps nothing; see above what is missing`
  const early = judgedTokens === null ? '' : `, streaming: {mode: early, tokens: ${judgedTokens}}`
  return `${out}: kubectl apply it, or put it beside the resource files; name it in the step ${step}: metaRanking: {judge: ${judge}, references: {configMap: ${name}}}${early}`
}

const wrong = (message: string) => new Failure('invalid-configuration', `calibrate cascade: ${message}`)
