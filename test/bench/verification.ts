/**
 * What trees and verifiers cost a step: 8 streams, a vocabulary of 49,152, against 5% of a step of 20 ms.
 *
 * Run: `npm run bench -- verification [--rounds 9]`. Laws are given, because softmax belongs to sampling: that is the last two tables, with
 * a bound of 10%. CPU time of one thread, medians over rounds, on synthetic logits; the draft's laws are the target's logits with an
 * error, cut to their 64 best tokens.
 */
import { samplingDefaults } from '#contracts/sampling.ts'
import { growByThreshold, growGreedily } from '../../gpu-worker/core/speculation/builders/dySpec.ts'
import { type Build, grow } from '../../gpu-worker/core/speculation/builders/grow.ts'
import { branchingShape, growShape, pathsShape } from '../../gpu-worker/core/speculation/builders/shape.ts'
import { type Chance, chanceFrom } from '../../gpu-worker/core/speculation/chance.ts'
import { bestOf, type Law } from '../../gpu-worker/core/speculation/law.ts'
import { LawReader, type Processing } from '../../gpu-worker/core/speculation/processedLaw.ts'
import { pathOf, root, type TokenTree } from '../../gpu-worker/core/speculation/tokenTree.ts'
import { assignSequences, commitOf, leavesOf } from '../../gpu-worker/core/speculation/treeSequences.ts'
import type { Verifier } from '../../gpu-worker/core/speculation/verifier.ts'
import { greedyMultiDraft } from '../../gpu-worker/core/speculation/verifiers/greedyMultiDraft.ts'
import { kSeq } from '../../gpu-worker/core/speculation/verifiers/kSeq.ts'
import { coupled } from '../../gpu-worker/core/speculation/verifiers/oneSample.ts'
import { recursiveRejection } from '../../gpu-worker/core/speculation/verifiers/recursiveRejection.ts'
import { rejection } from '../../gpu-worker/core/speculation/verifiers/rejection.ts'
import { createSampler } from '../../gpu-worker/core/sampling/sampler.ts'
import { DraftLaws } from '../../gpu-worker/llama/draftLaws.ts'
import { mulberry32 } from '../simulate/random.ts'
import { readOptions } from './harness/options.ts'
import { figure, Report } from './harness/report.ts'
import { blurredRow, syntheticRow } from './harness/syntheticLogits.ts'

const options = readOptions({ rounds: 9, quickRounds: 3 })
const vocabularySize = 49_152
const streams = 8
const stepMicroseconds = 20_000
const draftTokensMax = 64
const chainLength = 4
// CPU time is counted in ticks of a few milliseconds on some machines: a round must be many.
const stepsPerRound = options.quick ? 60 : 200
const rowsPerRound = 5 * stepsPerRound

const targets: Record<string, Processing> = {
  'temperature 1': { temperature: 1, topK: 0, minP: 0, topP: 1 },
  'temperature 0.8, top_p 0.95': { temperature: 0.8, topK: 0, minP: 0, topP: 0.95 },
}
const rows = Array.from({ length: 16 }, (_, seed) =>
  syntheticRow({ vocabularySize, shape: seed % 2 ? 'flat' : 'peaked', seed }),
)
const draftRows = rows.map((row, seed) => blurredRow(row, { sigma: 0.7, seed: seed + 100 }))
const reader = new LawReader(vocabularySize)
const random = mulberry32(1)
const chance = chanceFrom(random)
/** Tokens that a chain emitted, by target. */
const emittedByChains = new Map<string, number>()
const emittedOf = (target: string) => emittedByChains.get(target) ?? 1

interface Case {
  readonly name: string
  readonly build: (chance: Chance) => Build
  /** null: the coupled one, where the choice itself is sampling. */
  readonly verifier: Verifier | null
}

const cases: readonly Case[] = [
  {
    name: 'chain of 4, rejection',
    build: (chance) => growShape({ parents: pathsShape(1, chainLength), drawing: 'independent', chance }),
    verifier: rejection,
  },
  {
    name: 'DySpec, 8 nodes, recursive rejection',
    build: (chance) => growGreedily({ picking: chance, nodesMax: 8 }),
    verifier: recursiveRejection,
  },
  {
    name: 'DySpec, 16 nodes, recursive rejection',
    build: (chance) => growGreedily({ picking: chance, nodesMax: 16 }),
    verifier: recursiveRejection,
  },
  {
    name: 'threshold 1/16, recursive rejection',
    build: (chance) => growByThreshold({ picking: chance, nodesMax: 16, valueMin: 1 / 16 }),
    verifier: recursiveRejection,
  },
  {
    name: '4 paths of 4, K-SEQ',
    build: (chance) => growShape({ parents: pathsShape(4, 4), drawing: 'independent', chance }),
    verifier: kSeq,
  },
  {
    name: '3 by 2 by 1, greedy multi-draft',
    build: (chance) => growShape({ parents: branchingShape([3, 2, 1]), drawing: 'top-and-draw', chance }),
    verifier: greedyMultiDraft,
  },
  {
    name: 'DySpec by argmax, 16 nodes, coupled',
    build: () => growGreedily({ picking: 'best', nodesMax: 16 }),
    verifier: null,
  },
]

const report = new Report(
  'verification',
  `Trees and verifiers: ${streams} streams, ${vocabularySize} tokens, step of 20 ms`,
)
for (const [name, processing] of Object.entries(targets)) measureTarget(name, processing)
measureSampling()
process.exit(report.finish({ quick: options.quick }))

function measureTarget(target: string, processing: Processing): void {
  const targetLaws = rows.map((row) => reader.read(row, processing))
  const draftLaws = draftRows.map((row) => reader.read(row, { ...processing, tokensMax: draftTokensMax }))
  const table = cases.map(({ name, build, verifier }) => {
    const one = measureCase({ build, verifier, targetLaws, draftLaws })
    if (verifier === rejection) emittedByChains.set(target, one.emitted)
    const share = (100 * (one.build + one.verify)) / stepMicroseconds
    report.add(`${target}: ${name}`, one)
    report.require({ what: `${target}: ${name}`, measured: share, bound: { atMost: 5 }, unit: '% of a step' })
    return [name, figure(one.build), figure(one.verify), `${figure(share)}%`, figure(one.emitted)]
  })
  report.table(`µs a step, target at ${target}`, ['', 'build', 'verify', 'of 20 ms', 'tokens emitted'], table)
}

function measureCase(
  given: Omit<Case, 'name'> & { readonly targetLaws: readonly Law[]; readonly draftLaws: readonly Law[] },
) {
  const { build, verifier, targetLaws, draftLaws } = given
  const grown = () => grow(build(chance), (path) => lawAt(draftLaws, path)).tree
  let emitted = 0
  const verified = (tree: TokenTree) => {
    const verdict = verifier?.verify({ tree, targetLaw: (node) => lawAt(targetLaws, pathOf(tree, node)), chance })
    const { path } = verdict ?? coupled((node) => childByChance(tree, node)).verify({ tree })
    emitted += path.length + 1
    const ids = {
      main: 0,
      spare: leavesOf(tree).map((_, i) => i + 1),
    }
    return commitOf(assignSequences(tree, ids), path)
  }
  const trees = Array.from({ length: streams * stepsPerRound }, grown)
  const buildTime = median(() => cpuOf(() => trees.forEach(() => grown())))
  const verifyTime = median(() => cpuOf(() => trees.forEach(verified)))
  return { build: buildTime, verify: verifyTime, emitted: emitted / trees.length / (options.rounds + 1) }
}

/** What a row's law or choice costs, and what a step of chains of four has of it, one row for each emitted token and one for each draft. */
function measureSampling(): void {
  const costs = Object.entries(targets).map(([name, processing]) => ({ name, ...rowCosts(processing) }))
  report.table(
    'µs a row',
    [
      '',
      'choice (coupled)',
      'judged by laws',
      "target's whole law",
      'drawn draft',
      'draft by the same noise',
      'likeliest draft',
    ],
    costs.map(({ name, choice, judged, law, drawn, raced, likeliest }) => [
      name,
      ...[choice, judged, law, drawn, raced, likeliest].map((value) => figure(value)),
    ]),
  )
  const ways = costs.flatMap(({ name, ...cost }) => {
    const rows = streams * emittedOf(name)
    return [
      { name, way: 'by the same noise', target: rows * cost.choice, draft: streams * chainLength * cost.raced },
      { name, way: 'drawn, judged by laws', target: rows * cost.judged, draft: streams * chainLength * cost.drawn },
    ]
  })
  report.table(
    `µs a step of ${streams} streams, chains of ${chainLength}`,
    ['', "target's rows", 'of 20 ms', "draft's rows", 'of 20 ms'],
    ways.map(({ name, way, target, draft }) => [
      `${name}: ${way}`,
      figure(target),
      shareOf(target),
      figure(draft),
      shareOf(draft),
    ]),
  )
  report.note('a worker judges by laws only where that takes a twentieth of a step at most (Verification.lawsPay)')
  for (const { name, way, target, draft } of ways) {
    report.add(`sampling, ${name}, ${way}`, { target, draft })
    const measured = (100 * target) / stepMicroseconds
    if (way === 'by the same noise')
      report.require({ what: `softmax and sampling, ${name}`, measured, bound: { atMost: 10 }, unit: '% of a step' })
  }
}

function shareOf(microseconds: number): string {
  return `${figure((100 * microseconds) / stepMicroseconds)}%`
}

function rowCosts(processing: Processing) {
  const logits = new Float32Array(vocabularySize)
  const positions = Array.from({ length: rowsPerRound }, (_, at) => at)
  const sampler = createSampler({
    sampling: { ...samplingDefaults, seed: 7, ...processing },
    vocabularySize,
    endTokens: [2],
    prompt: [],
  })
  const eachRow = (work: (at: number) => void) =>
    median(() => (stepsPerRound / rowsPerRound) * cpuOf(() => positions.forEach((at) => work(at))))
  const targetRow = (at: number) => rows[at % rows.length] ?? logits
  const draftRow = (at: number) => draftRows[at % rows.length] ?? logits
  const laws = new DraftLaws(vocabularySize)
  const drawn = draftRows.map((row) => laws.read(row, { kind: 'own-chance', processing }, 0))
  const copying = eachRow((at) => logits.set(targetRow(at)))
  const choice = eachRow((at) => {
    logits.set(targetRow(at))
    sampler.sample({ logits, position: at })
  })
  const costs = {
    choice: choice - copying,
    // As the engine judges: by the draft's law, whose tokens' probabilities are all that it needs.
    judged: eachRow((at) => {
      const law = drawn[at % rows.length]
      const target = reader.look(targetRow(at), processing)
      if (law !== undefined) recursiveRejection.judge(target, [{ token: chance.draw(law), law }], chance)
    }),
    law: eachRow((at) => reader.read(targetRow(at), processing)),
    drawn: eachRow((at) => chance.draw(laws.read(draftRow(at), { kind: 'own-chance', processing }, at))),
    raced: eachRow((at) => bestOf(laws.read(draftRow(at), { kind: 'same-noise', processing, seed: 7 }, at))),
    likeliest: eachRow((at) => laws.likeliest(draftRow(at))),
  }
  return costs
}

/** A model without memory of its own: the path says which row follows. */
function lawAt(laws: readonly Law[], path: readonly number[]): Law {
  const at = path.reduce((sum, token) => sum * 31 + token, 7) % laws.length
  const law = laws[at]
  if (law === undefined) throw new RangeError(`no law ${at}`)
  return law
}

function childByChance(tree: TokenTree, node: number): number {
  const child = tree.parents.indexOf(node === root ? root : node)
  return child >= 0 && random() < 0.7 ? (tree.tokens[child] ?? 0) : -1
}

/** CPU microseconds per step. */
function cpuOf(work: () => void): number {
  const start = process.threadCpuUsage()
  work()
  const { user, system } = process.threadCpuUsage(start)
  return (user + system) / stepsPerRound
}

function median(sample: () => number): number {
  sample()
  const samples = Array.from({ length: options.rounds }, sample)
  return samples.toSorted((a, b) => a - b)[Math.floor(options.rounds / 2)] ?? 0
}
