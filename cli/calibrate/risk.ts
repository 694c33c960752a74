/**
 * `paceline calibrate risk`: the harmonizer of a risk route, from the traffic that routers kept of it (`docs/risk.md`).
 *
 *     paceline calibrate risk --traffic folder-or-file --name assistant-risk --out assistant-risk.yaml
 *         [--labels labels.jsonl] [--route assistant] [--scalariser quadratic] [--hidden 0] [--weight rule=2]
 *
 * Nobody has to label anything to train it. Labels (`{"request": "…", "correct": true}`, one per line) are only for saying what it is worth:
 * its calibration error and R² of risk against error, on answers that it has not learned from. Those are first answers: of a request that
 * was answered otherwise in the end a label counts with `"answer": "first"` only.
 */
import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { stringify } from 'yaml'
import { type Prediction, rankBins } from '#algorithms/calibrationError.ts'
import {
  firstAnswerLabels,
  type RiskSet,
  type RiskTrained,
  riskSets,
  type RiskTrainingOptions,
  trainRisk,
} from '#algorithms/riskTraining.ts'
import { type Scalariser, scalarisers } from '#algorithms/scalarisers.ts'
import { seeded } from '#algorithms/seeded.ts'
import { calibrationKeys, calibrationKind } from '#contracts/calibration.ts'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { RiskCalibration } from '#contracts/riskCalibration.ts'
import type { RiskExample } from '#contracts/riskExample.ts'
import type { Context } from '../context.ts'
import { parseFlags } from '../flags.ts'
import { table } from '../terminal.ts'
import { parseNumber } from './calibrationFlags.ts'
import { readAnswerLabels, readExamples } from './riskExamples.ts'

const options = {
  traffic: { type: 'string', multiple: true },
  labels: { type: 'string', multiple: true },
  route: { type: 'string' },
  name: { type: 'string' },
  out: { type: 'string' },
  scalariser: { type: 'string', default: 'quadratic' },
  compare: { type: 'boolean', default: false },
  hidden: { type: 'string', default: '0' },
  weight: { type: 'string', multiple: true },
  epochs: { type: 'string', default: '100' },
  'learning-rate': { type: 'string', default: '0.003' },
  decay: { type: 'string', default: '0.0001' },
  'held-out': { type: 'string', default: '0.3' },
  seed: { type: 'string', default: '1' },
} as const
type Flags = ReturnType<typeof parseFlags<typeof options>>

/** Fewer tell nothing apart. */
const examplesMin = 50

export async function calibrateRisk(args: readonly string[], { terminal }: Context): Promise<number> {
  const flags = parseFlags('calibrate risk', args, options)
  const { name, out } = named(flags)
  const settings = settingsOf(flags)
  const examples = await readExamples(flags.traffic ?? [], flags.route ?? null)
  const labels = await readAnswerLabels(flags.labels ?? [])
  const set = chosenSet(examples)
  checkWeights(settings.weights, sourcesOf(set))
  const { correct, skipped } = firstAnswerLabels(set.examples, labels)
  const left = examples.length - set.examples.length
  if (left > 0)
    terminal.line(
      `${left} of ${examples.length} examples are of other models, other labels, or have no label: left out`,
    )
  if (skipped > 0)
    terminal.line(
      `${skipped} of ${labels.length} labels are of requests whose first answer was not given: passed over; where the first answer was looked at, say "answer": "first"`,
    )
  for (const line of sourceRows(set)) terminal.line(line)
  const train = (scalariser: Scalariser) =>
    trainRisk(set, { ...settings, scalariser, correct, random: seeded(settings.seed) })
  const trained = train(settings.scalariser)
  for (const line of worthOf(trained)) terminal.line(line)
  if (flags.compare) for (const line of comparison(scalarisers.map((each) => train(each).document))) terminal.line(line)
  await writeFile(resolve(out), mapOf(name, checked(trained.document)))
  terminal.line(
    `${out}: kubectl apply it, or put it beside the resource files; name it in the route: risk.calibration.configMap: ${name}`,
  )
  return 0
}

function named({ name, out, traffic }: Flags): { name: string; out: string } {
  if (traffic === undefined) throw wrong('name what was kept with --traffic: a folder or a file')
  if (name === undefined) throw wrong('name the ConfigMap with --name')
  if (out === undefined) throw wrong('name the file to write with --out')
  return { name, out }
}

type Settings = Omit<RiskTrainingOptions, 'correct' | 'random'> & { readonly seed: number }

function settingsOf(flags: Flags): Settings {
  const scalariser = scalarisers.find((each) => each === flags.scalariser)
  if (scalariser === undefined) throw wrong(`--scalariser must be one of ${scalarisers.join(', ')}`)
  return {
    scalariser,
    hidden: parseNumber('hidden', flags.hidden, { least: 0, most: 1_024 }),
    epochsMax: parseNumber('epochs', flags.epochs, { least: 1, most: 10_000 }),
    learningRate: parseNumber('learning-rate', flags['learning-rate'], { least: 1e-6, most: 1, fraction: true }),
    decay: parseNumber('decay', flags.decay, { least: 0, most: 1, fraction: true }),
    heldOutShare: parseNumber('held-out', flags['held-out'], { least: 0.05, most: 0.95, fraction: true }),
    seed: parseNumber('seed', flags.seed, { least: 0, most: 2 ** 32 - 1 }),
    weights: new Map((flags.weight ?? []).map(weightOf)),
  }
}

function weightOf(text: string): [string, number] {
  const [source = '', weight] = text.split('=')
  return [source, parseNumber('weight', weight, { least: 0, most: 1_000, fraction: true })]
}

/** A name that is none would change nothing, and nobody would notice; weights without a sum weigh nothing. */
function checkWeights(weights: ReadonlyMap<string, number>, sources: readonly string[]): void {
  for (const name of weights.keys())
    if (!sources.includes(name)) throw wrong(`--weight ${name}: no such source; there are ${sources.join(', ')}`)
  if (sources.length > 0 && sources.every((name) => weights.get(name) === 0))
    throw wrong('--weight leaves every source at 0, and nothing to learn from')
}

const sourcesOf = ({ examples }: RiskSet) => [...new Set(examples.flatMap(({ votes }) => Object.keys(votes)))].sort()

function chosenSet(examples: readonly RiskExample[]): RiskSet {
  const [set] = riskSets(examples)
  const count = set?.examples.length ?? 0
  if (set !== undefined && count >= examplesMin) return set
  throw wrong(
    `${count} examples that go together teach nothing; keep at least ${examplesMin} (risk.trafficLog of the route)`,
  )
}

/** A calibration that its own schema refuses would degrade the route: say it here. */
function checked(document: RiskCalibration): RiskCalibration {
  const { data, error } = RiskCalibration.safeParse(document)
  if (error === undefined) return data
  throw wrong(
    `${error.issues[0]?.message ?? 'not of its form'}; take fewer --hidden (at most ${limits.risk.parametersMax} numbers in all)`,
  )
}

function mapOf(name: string, document: RiskCalibration): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, labels: { 'paceline.dev/kind': calibrationKind } },
    data: { [calibrationKeys.risk]: `${JSON.stringify(document, null, 2)}\n` },
  })
}

function sourceRows(set: RiskSet): string[] {
  const { examples } = set
  const rows = sourcesOf(set).map((name) => {
    const votes = examples.map((example) => ({ vote: example.votes[name] ?? null, own: example.ownLabel }))
    const given = votes.filter(({ vote }) => vote !== null)
    const against = given.filter(({ vote, own }) => vote !== own).length
    return [
      name,
      String(given.length),
      percent(given.length / votes.length),
      given.length === 0 ? '-' : percent(against / given.length),
    ]
  })
  return table(['SOURCE', 'VOTES', 'OF ALL', 'AGAINST THE ANSWER'], rows)
}

function worthOf({ document, predictions }: RiskTrained): string[] {
  const { trained, measured } = document
  const learned = `learned from ${trained.examples} examples in ${trained.epochs} epochs`
  if (measured === null)
    return [`${learned}; nobody said of any of them whether it was right, so what it is worth is not known`]
  const { labelled, errorRate, calibrationError, determination } = measured
  const worth = `calibration error ${calibrationError.toFixed(4)}, R² ${determination?.toFixed(3) ?? '-'}`
  return [
    `${learned}; on ${labelled} labelled ones that it has not seen, ${percent(errorRate)} wrong: ${worth}`,
    ...table(['ANSWERS', 'MEAN RISK', 'WRONG'], binRows(predictions)),
  ]
}

const binRows = (predictions: readonly Prediction[]) =>
  rankBins(predictions).map(({ count, risk, errorRate }) => [String(count), risk.toFixed(3), errorRate.toFixed(3)])

function comparison(documents: readonly RiskCalibration[]): string[] {
  const rows = documents.map(({ scalariser, measured }) => [
    scalariser,
    measured?.calibrationError.toFixed(4) ?? '-',
    measured?.determination?.toFixed(3) ?? '-',
  ])
  return table(['SCALARISER', 'CALIBRATION ERROR', 'R²'], rows)
}

const percent = (share: number) => `${(100 * share).toFixed(1)}%`
const wrong = (message: string) => new Failure('invalid-configuration', `calibrate risk: ${message}`)
