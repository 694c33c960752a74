/**
 * What each verifier accepts of n drafts at one node, and how near that is to the best possible: seeded, so the same on any machine.
 *
 * Run: `npm run bench -- acceptance [--drafts 3] [--rounds 2000] [--error 0.7]`. Synthetic logits, peaked and flat; the draft's logits are the
 * target's with a Gaussian error, its law is cut to 64 tokens. `best` is what the coupled verifier accepts of the draft's n best tokens.
 */
import {
  greedyAcceptance,
  optimalWithoutReplacement,
  optimalWithReplacement,
} from '../../gpu-worker/core/speculation/bound.ts'
import { grow } from '../../gpu-worker/core/speculation/builders/grow.ts'
import { branchingShape, type Drawing, growShape } from '../../gpu-worker/core/speculation/builders/shape.ts'
import { chanceFrom } from '../../gpu-worker/core/speculation/chance.ts'
import { bestOf, type Law, probabilityOf, without } from '../../gpu-worker/core/speculation/law.ts'
import { LawReader } from '../../gpu-worker/core/speculation/processedLaw.ts'
import type { Verifier } from '../../gpu-worker/core/speculation/verifier.ts'
import { kSeq } from '../../gpu-worker/core/speculation/verifiers/kSeq.ts'
import { recursiveRejection } from '../../gpu-worker/core/speculation/verifiers/recursiveRejection.ts'
import { rejection } from '../../gpu-worker/core/speculation/verifiers/rejection.ts'
import { mulberry32 } from '../simulate/random.ts'
import { readOptions } from './harness/options.ts'
import { Report } from './harness/report.ts'
import { blurredRow, type RowShape, syntheticRow } from './harness/syntheticLogits.ts'

const options = readOptions({ rounds: 2_000, quickRounds: 200 })
const drafts = options.value('drafts', 3)
const sigma = options.value('error', 0.7)
const vocabularySize = 49_152
const rowsPerShape = 8
const reader = new LawReader(vocabularySize)
const chance = chanceFrom(mulberry32(1))

const report = new Report(
  'acceptance',
  `Accepted of ${drafts} drafts at one node, draft logits with an error of ${sigma}`,
)
for (const shape of ['peaked', 'flat'] satisfies RowShape[]) {
  const table = [0.3, 0.6, 0.8, 1].map((temperature) => rowFor(shape, temperature))
  const header = [
    'temperature',
    'best',
    'one draw',
    'recursive',
    'K-SEQ',
    'α*',
    'recursive, distinct',
    'α*, distinct',
    'greedy',
  ]
  report.table(`${shape} logits`, header, table)
}
process.exit(report.finish({ quick: options.quick }))

function rowFor(shape: RowShape, temperature: number): string[] {
  const pairs = Array.from({ length: rowsPerShape }, (_, seed) => lawsOf({ shape, temperature, seed }))
  const mean = (figure: (p: Law, q: Law) => number) =>
    pairs.reduce((sum, [p, q]) => sum + figure(p, q), 0) / pairs.length
  const simulated = (verifier: Verifier, drawing: Drawing) => mean((p, q) => matches({ verifier, drawing, p, q }))
  const figures = [
    mean(massOfBest),
    simulated(rejection, 'independent'),
    simulated(recursiveRejection, 'independent'),
    simulated(kSeq, 'independent'),
    mean((p, q) => optimalWithReplacement(p, q, drafts)),
    simulated(recursiveRejection, 'without-replacement'),
    mean((p, q) => optimalWithoutReplacement(p, q, drafts)),
    mean((p, q) => greedyAcceptance(p, q, drafts)),
  ]
  report.add(`${shape}, temperature ${temperature}`, figures)
  return [String(temperature), ...figures.map((value) => value.toFixed(3))]
}

function lawsOf(given: { shape: RowShape; temperature: number; seed: number }): [target: Law, draft: Law] {
  const { shape, temperature, seed } = given
  const row = syntheticRow({ vocabularySize, shape, seed })
  const processing = { temperature, topK: 0, minP: 0, topP: 1 }
  const draftRow = blurredRow(row, { sigma, seed: seed + 100 })
  return [reader.read(row, processing), reader.read(draftRow, { ...processing, tokensMax: 64 })]
}

/** Share of rounds in which the emitted token is one of the drafts. */
function matches(given: { verifier: Verifier; drawing: Drawing; p: Law; q: Law }): number {
  const { verifier, drawing, p, q } = given
  let matched = 0
  for (let round = 0; round < options.rounds; round++) {
    const parents = branchingShape([verifier === rejection ? 1 : drafts])
    const { tree } = grow(growShape({ parents, drawing, chance }), () => q)
    matched += verifier.verify({ tree, targetLaw: () => p, chance }).path.length
  }
  return matched / options.rounds
}

function massOfBest(p: Law, q: Law): number {
  let mass = 0
  let left: Law | null = q
  for (let i = 0; i < drafts && left !== null; i++) {
    const token = bestOf(left)
    mass += probabilityOf(p, token)
    left = without(left, token)
  }
  return mass
}
