/**
 * What a risk score is worth on a real model: SmolLM2-135M answers generated questions with one right answer each, sources as a route would
 * have them vote, and a harmonizer trained without a label on one half says of the other half how likely each answer is wrong.
 *
 * Run: `npm run bench -- riskQuestions [--questions 600] [--threads 2]`. Needs the small test model, and some minutes of it. The embedding is the model's own
 * of question and answer (576 wide); samples are drawn at temperature 0.8. Nothing in here counts time.
 */
import { auroc } from '#algorithms/auroc.ts'
import { rankBins } from '#algorithms/calibrationError.ts'
import { measuredBy, type RiskSet, riskSets, trainRisk } from '#algorithms/riskTraining.ts'
import { type Scalariser, scalarisers } from '#algorithms/scalarisers.ts'
import { seeded } from '#algorithms/seeded.ts'
import { packedNumbers } from '#contracts/packedNumbers.ts'
import { RiskSource } from '#contracts/resources/riskRoute.ts'
import type { RiskExample } from '#contracts/riskExample.ts'
import { systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { createLlamaRunner } from '../../gpu-worker/llama/llamaRunner.ts'
import { runCheck } from '../../router/core/riskChecks.ts'
import { checksOf, votesOf } from '../../router/core/riskVotes.ts'
import { answerIn, checkableQuestions, fewShotPrompt, isRight } from './harness/checkableQuestions.ts'
import { drawnAnswers } from './harness/drawnAnswers.ts'
import { modelPath } from './harness/model.ts'
import { readOptions } from './harness/options.ts'
import { print, Report } from './harness/report.ts'
import { shortAnswers } from './harness/shortAnswers.ts'
import { median } from './harness/statistics.ts'

const options = readOptions({ rounds: 1, quickRounds: 1 })
const count = options.value('questions', options.quick ? 60 : 600)
const samples = 4
const answerTokensMax = 12
const digest = 'ab'.repeat(32)

const questions = checkableQuestions(count + 60, 20_260).slice(60)
const runner = await createLlamaRunner({
  modelPath: modelPath(),
  slots: 8,
  contextTokensMax: 256,
  threads: options.value('threads', 2),
  kvCacheType: 'f16',
  kvLayout: 'split',
  backend: 'auto',
  embeddings: true,
  host: { platform: process.platform, arch: process.arch },
  clock: systemClock,
  log: silentLog,
})
const prompts = questions.map(fewShotPrompt)
print(`the model answers ${count} questions`)
const answers = await shortAnswers(runner, prompts, answerTokensMax)
print(`… and each ${samples} times more`)
const random = seeded(11)
const drawn = await drawnAnswers(runner, prompts, { samples, temperature: 0.8, tokensMax: answerTokensMax, random })
const embeddings = await Promise.all(
  questions.map(async ({ question }, i) => {
    const text = `${question}\n${answerIn(answers[i]?.text ?? '')}`
    const [vector] = await runner.embed([runner.tokenize(text, { parseSpecial: false, addBegin: true })])
    return vector ?? new Float32Array(0)
  }),
)
await runner[Symbol.asyncDispose]()

const middle = median(answers.map(({ meanLogProbability }) => meanLogProbability))
const sources = [
  { name: 'sum', validator: { check: 'arithmetic' } },
  { name: 'short', length: { charactersMax: 20, yes: 'abstain' } },
  { name: 'repeats', expression: { pattern: '^(?:Question|Answer|What|Which)', yes: 'wrong', no: 'abstain' } },
  { name: 'sure', logProbability: { meanMin: Math.max(-100, middle) } },
  { name: 'again', selfConsistency: { samples, agreeMin: 0.5 } },
  { name: 'own', ownLabel: {} },
].map((source) => RiskSource.parse(source))
const policy = { labels: [], sources }
const examples = questions.map((_, i) => exampleOf(i))
const right = new Map(
  questions.map(({ expected }, i) => [`q${i}`, isRight(answerIn(answers[i]?.text ?? ''), expected)]),
)

const report = new Report('risk-questions', 'Risk scores of SmolLM2-135M’s answers')
const share = (100 * [...right.values()].filter(Boolean).length) / count
report.note(
  `${count} questions, ${share.toFixed(1)} % answered right; sources: ${sources.map(({ name }) => name).join(', ')}`,
)
const bare = examples.map((example) => ({ ...example, embedding: null }))
const scores = [
  separationOf('mean log-probability', (i) => answers[i]?.meanLogProbability ?? 0),
  separationOf('agreement of samples', (i) => examples[i]?.signals.agreement ?? 0),
  ...scalarisers.map((scalariser) => riskRow(`risk, signals only, ${scalariser}`, bare, scalariser)),
  ...scalarisers.map((scalariser) => riskRow(`risk, with the embedding, ${scalariser}`, examples, scalariser)),
]
report.add('scores', scores)
report.table(
  'telling right from wrong, and calibration',
  ['score', 'AUROC', '95 % interval', 'calibration error', 'R²'],
  scores.map(({ name, area, lower, upper, error, determination }) => [
    name,
    area.toFixed(3),
    `${lower.toFixed(3)} to ${upper.toFixed(3)}`,
    error?.toFixed(3) ?? '-',
    determination?.toFixed(2) ?? '-',
  ]),
)
report.table(
  'risk with the embedding, quadratic, by rank',
  ['answers', 'mean risk', 'wrong'],
  rankBins(crossFitted(examples, 'quadratic')).map((bin) => [
    String(bin.count),
    bin.risk.toFixed(3),
    bin.errorRate.toFixed(3),
  ]),
)
process.exitCode = report.finish({ quick: options.quick })

function exampleOf(i: number): RiskExample {
  const question = questions[i]?.question ?? ''
  const answered = answers[i]
  const texts = { question, answer: answerIn(answered?.text ?? '') }
  const votes = votesOf(policy, {
    texts,
    checked: checksOf(policy).map((check) => runCheck(check, texts)),
    logProbabilities: answered === undefined ? null : [answered.meanLogProbability],
    samples: (drawn[i] ?? []).map(answerIn),
    sampleLabels: [],
    ranking: null,
  })
  return {
    kind: 'RiskExample',
    version: 1,
    route: 'questions',
    request: `q${i}`,
    model: digest,
    embeddingModel: digest,
    labels: ['right', 'wrong'],
    ownLabel: votes.ownLabel,
    votes: Object.fromEntries(sources.map(({ name }, s) => [name, votes.votes[s] ?? null])),
    signals: { ...votes.signals, leastLogProbability: answered?.leastLogProbability ?? null },
    embedding: packedNumbers(embeddings[i] ?? []),
    risk: null,
    cause: 'uncalibrated',
  }
}

/** Each half by what the other half taught, which saw no label. */
function crossFitted(all: readonly RiskExample[], scalariser: Scalariser) {
  const [set] = riskSets(all)
  if (set === undefined) throw new Error('no examples')
  return [0, 1].flatMap((half) => {
    const held = set.examples.filter(({ request }) => Number(request.slice(1)) % 2 === half)
    const ids = held.map(({ request }) => request)
    const correct = new Map(ids.map((id) => [id, right.get(id) === true]))
    return heldOutPredictions(set, correct, scalariser)
  })
}

function heldOutPredictions(set: RiskSet, correct: ReadonlyMap<string, boolean>, scalariser: Scalariser) {
  const { predictions } = trainRisk(set, {
    scalariser,
    hidden: 0,
    epochsMax: 100,
    learningRate: 0.003,
    decay: 1e-4,
    weights: new Map(),
    heldOutShare: 0.5,
    correct,
    random: seeded(5),
  })
  return predictions
}

function riskRow(name: string, all: readonly RiskExample[], scalariser: Scalariser) {
  const predictions = crossFitted(all, scalariser)
  const { calibrationError, determination } = measuredBy(predictions)
  const separation = auroc(predictions.map(({ risk, wrong }) => ({ score: -risk, right: !wrong })))
  return { name, ...separation, error: calibrationError, determination }
}

function separationOf(name: string, trust: (i: number) => number) {
  const separation = auroc(questions.map((_, i) => ({ score: trust(i), right: right.get(`q${i}`) === true })))
  return { name, ...separation, error: null, determination: null }
}
