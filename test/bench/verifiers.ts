/**
 * Which verifier accepts most, by temperature, on a real model with a real draft: the figures behind `core/speculation/verifierChoice.ts`.
 *
 * Run: `npm run bench -- verifiers [--tokens 64] [--prompts 8]`. The target writes text at each temperature; the draft, the same model without
 * ten of its layers, reads along. At every position both laws are known, so that acceptance is computed and not counted (recursive
 * rejection alone is counted, over a few trees for each position). Seeded.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Usage } from '#contracts/messages.ts'
import { greedyAcceptance, optimalWithoutReplacement } from '../../gpu-worker/core/speculation/bound.ts'
import { grow } from '../../gpu-worker/core/speculation/builders/grow.ts'
import { branchingShape, growShape } from '../../gpu-worker/core/speculation/builders/shape.ts'
import { chanceFrom } from '../../gpu-worker/core/speculation/chance.ts'
import { bestOf, type Law, overlap, probabilityOf, without } from '../../gpu-worker/core/speculation/law.ts'
import { LawReader } from '../../gpu-worker/core/speculation/processedLaw.ts'
import { planKSeq } from '../../gpu-worker/core/speculation/verifiers/kSeq.ts'
import { recursiveRejection } from '../../gpu-worker/core/speculation/verifiers/recursiveRejection.ts'
import { prunedDraft } from '../../gpu-worker/llama/prunedDraft.fixture.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { draftingPrompts } from '../behaviour/draftingPrompts.ts'
import { openModel } from '../behaviour/engineStand.ts'
import { testModel } from '../behaviour/modelRunnerModel.ts'
import { answersOf } from '../behaviour/waysOfDrafting.ts'
import { mulberry32 } from '../simulate/random.ts'
import { readOptions } from './harness/options.ts'
import { question } from './harness/prompts.ts'
import { Report } from './harness/report.ts'

const options = readOptions({ rounds: 20, quickRounds: 4 })
const tokensMax = options.value('tokens', options.quick ? 16 : 64)
const prompts = options.value('prompts', options.quick ? 2 : 8)
const temperatures = [0.3, 0.6, 0.8, 1, 1.3]
const draftTokensMax = 64

const model = testModel()
if (model.kind === 'missing') throw new Error(model.reason)
const modelPath = model.path
const size = { slots: 1, contextTokensMax: 512, reproducible: false }
const target = await openModel(model.path, size)
const draftPath = prunedDraft(model.path, join(tmpdir(), 'paceline-test-models'))
const draft = await openModel(draftPath, size)
const reader = new LawReader(target.info.vocabularySize)
const random = mulberry32(1)
const chance = chanceFrom(random)

const report = new Report('verifiers', 'Accepted at one node, a model and itself without ten of its layers')
const header = ['temperature', 'best, coupled', 'by the same noise', 'draw, rejection']
const severalHeader = (n: number) => [
  `${n} best, coupled`,
  `${n} by the same noise`,
  `recursive`,
  `K-SEQ`,
  `greedy`,
  `α* of ${n} distinct`,
]
const rows: string[][] = []
for (const temperature of temperatures) rows.push(await rowFor(temperature))
report.table(`${prompts} texts of ${tokensMax} tokens`, [...header, ...severalHeader(2), ...severalHeader(3)], rows)
await target[Symbol.asyncDispose]()
await draft[Symbol.asyncDispose]()
await measureWorker()
process.exit(report.finish({ quick: options.quick }))

/** Through a whole worker: what its requests get of chains of four, with a seed to keep and without. */
async function measureWorker(): Promise<void> {
  const runner = await openModel(modelPath, { slots: 8, contextTokensMax: 256, reproducible: true })
  const share = async (temperature: number, seedDrawn: boolean) => {
    const requests = draftingPrompts(8, { temperature, seedDrawn, maxTokens: options.quick ? 8 : 32, ignoreEos: true })
    const answers = await answersOf('a draft model', requests, { runner, draftPath })
    const sum = (of: (usage: Usage) => number) => answers.reduce((total, { usage }) => total + of(usage), 0)
    return sum(({ acceptedTokens }) => acceptedTokens) / sum(({ draftTokens }) => draftTokens)
  }
  const rows: string[][] = []
  for (const temperature of temperatures) {
    const [seeded, free] = [await share(temperature, false), await share(temperature, true)]
    report.add(`worker at temperature ${temperature}`, { seeded, free })
    rows.push([String(temperature), seeded.toFixed(3), free.toFixed(3)])
  }
  report.table('accepted of chains of four, 8 texts', ['temperature', 'with a seed', 'without'], rows)
  await runner[Symbol.asyncDispose]()
}

async function rowFor(temperature: number): Promise<string[]> {
  const pairs: [target: Law, draft: Law][] = []
  for (let prompt = 0; prompt < prompts; prompt++) pairs.push(...(await lawsAlong(prompt, temperature)))
  const mean = (figure: (p: Law, q: Law) => number) =>
    pairs.reduce((sum, [p, q]) => sum + figure(p, q), 0) / pairs.length
  const several = (n: number) => [
    mean((p, q) => massOfBest(p, q, n)),
    mean((p, q) => countedOfRaces(p, q, n)),
    mean((p, q) => countedOfDistinct(p, q, n)),
    mean((p, q) => planKSeq(p, q, n).acceptance),
    mean((p, q) => greedyAcceptance(p, q, n)),
    mean((p, q) => optimalWithoutReplacement(p, q, n)),
  ]
  const figures = [mean((p, q) => massOfBest(p, q, 1)), mean(sameWinner), mean(overlap), ...several(2), ...several(3)]
  report.add(`temperature ${temperature}`, { positions: pairs.length, figures })
  return [String(temperature), ...figures.map((value) => value.toFixed(3))]
}

/** Both laws after each token of a text that the target writes. */
async function lawsAlong(prompt: number, temperature: number): Promise<[target: Law, draft: Law][]> {
  const processing = { temperature, topK: 0, minP: 0, topP: 1 }
  const tokens = target.tokenize(question(prompt), { parseSpecial: false, addBegin: true })
  const promptTokens = tokens.length
  const targets: Law[] = []
  target.truncate(0, 0)
  await decode(target, tokens, { position: 0, rows: 1 })
  while (targets.length < tokensMax) {
    const law = reader.read(target.logits(0), processing)
    targets.push(law)
    const token = chance.draw(law)
    if (target.isEndOfGeneration(token) || targets.length === tokensMax) break
    await decode(target, [token], { position: tokens.length, rows: 1 })
    tokens.push(token)
  }
  draft.truncate(0, 0)
  await decode(draft, tokens, { position: 0, rows: tokens.length - promptTokens + 1 })
  return targets.map((law, row) => [law, reader.read(draft.logits(row), { ...processing, tokensMax: draftTokensMax })])
}

async function decode(
  runner: ModelRunner,
  tokens: readonly number[],
  { position, rows: logitsForLast }: { position: number; rows: number },
): Promise<void> {
  const result = await runner.decode([{ slot: 0, position, tokens, logitsForLast }])
  if (result.kind !== 'decoded') throw new Error(`not decoded: ${result.kind}`)
}

function massOfBest(p: Law, q: Law, drafts: number): number {
  let mass = 0
  let left: Law | null = q
  for (let i = 0; i < drafts && left !== null; i++) {
    const token = bestOf(left)
    mass += probabilityOf(p, token)
    left = without(left, token)
  }
  return mass
}

/** How often both laws choose the same token with the same noise: 1 / Σ max(pⱼ / pᵢ, qⱼ / qᵢ), summed over the tokens i. */
function sameWinner(p: Law, q: Law): number {
  const target = Float64Array.from(q.tokens, (token) => probabilityOf(p, token))
  const outside = Math.max(0, 1 - target.reduce((sum, share) => sum + share, 0))
  let same = 0
  for (const [i, own] of target.entries()) {
    if (own === 0) continue
    const qOwn = q.weights[i] ?? 0
    let sum = outside / own
    for (const [j, other] of target.entries()) sum += Math.max(other / own, (q.weights[j] ?? 0) / qOwn)
    same += 1 / sum
  }
  return same
}

/** Share of races in which the target's winner is among the first of the draft's. */
function countedOfRaces(p: Law, q: Law, drafts: number): number {
  const target = Float64Array.from(q.tokens, (token) => probabilityOf(p, token))
  const outside = Math.max(0, 1 - target.reduce((sum, share) => sum + share, 0))
  let matched = 0
  for (let round = 0; round < options.rounds; round++) {
    const noise = target.map(() => -Math.log(1 - random()))
    const scores = noise.map((time, i) => (q.weights[i] ?? 0) / time)
    const won = noise.map((time, i) => (target[i] ?? 0) / time)
    const winner = won.indexOf(Math.max(...won))
    const isOutside = outside / -Math.log(1 - random()) > (won[winner] ?? 0)
    const ahead = scores.filter((score) => score > (scores[winner] ?? 0)).length
    if (!isOutside && ahead < drafts) matched += 1
  }
  return matched / options.rounds
}

/** Share of trees of distinct draws, one of which is the emitted token. */
function countedOfDistinct(p: Law, q: Law, drafts: number): number {
  let matched = 0
  for (let round = 0; round < options.rounds; round++) {
    const shape = growShape({ parents: branchingShape([drafts]), drawing: 'without-replacement', chance })
    const { tree } = grow(shape, () => q)
    matched += recursiveRejection.verify({ tree, targetLaw: () => p, chance }).path.length
  }
  return matched / options.rounds
}
