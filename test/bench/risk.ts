/**
 * What a risk score is worth under laws that are known, and what it costs.
 *
 *     npm run bench -- risk [--seeds 20] [--width 576]
 *
 * Each law: sources conditionally independent given the truth, the model's own word one of them; trained by Adam with early stopping on the
 * scalarised loss of what was held out, measured on others; mean over seeds. The score: everything a router computes once votes and embedding
 * are there, in microseconds of one thread, medians over rounds.
 */
import { parseArgs } from 'node:util'
import { expectedCalibrationError, rankDetermination } from '#algorithms/calibrationError.ts'
import { parameterCount } from '#algorithms/harmonizer.ts'
import { scalarisers } from '#algorithms/scalarisers.ts'
import { seeded } from '#algorithms/seeded.ts'
import { loudRules, mistakeFinders, predictedUnder, type SourceLaw } from '#algorithms/sourceLaws.fixture.ts'
import { packedNumbers } from '#contracts/packedNumbers.ts'
import { RiskCalibration, riskSignals } from '#contracts/riskCalibration.ts'
import { systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import type { Check } from '../../router/core/riskChecks.ts'
import { riskScore, scorerOf } from '../../router/core/riskScore.ts'
import { ThreadChecker } from '../../router/riskChecker.ts'

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '20' }, width: { type: 'string', default: '576' } },
})
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => i + 1)
const width = Number(values.width)

const laws: Readonly<Record<string, SourceLaw>> = {
  'rules that find mistakes': mistakeFinders,
  '… five of them, half as loud': { ...mistakeFinders, rules: 5, doubtful: 0.2 },
  '… less sure (0.9)': { ...mistakeFinders, accuracy: 0.9 },
  '… features tell less': { ...mistakeFinders, spread: 0.5 },
  '… features tell more': { ...mistakeFinders, bias: -2, spread: 1.2 },
  'three quiet rules': { ...mistakeFinders, always: 0.2, doubtful: 0 },
  'three rules that speak half the time': { ...mistakeFinders, always: 0.5, doubtful: 0, accuracy: 0.9 },
  'ten rules, half right': { ...mistakeFinders, rules: 10, always: 0.3, doubtful: 0, accuracy: 0.75 },
  'loud rules, own word 0.2': loudRules,
  'loud rules, own word 1': { ...loudRules, ownWeight: 1 },
}

console.log(`calibration error (ECE, 10 bins) and R² by ten rank bins, mean over ${seeds.length} seeds`)
console.table(
  Object.entries(laws).map(([law, what]) => ({
    law,
    ...Object.fromEntries(scalarisers.map((scalariser) => [scalariser, worth(what, scalariser)])),
  })),
)
console.log(`score at ${width} dimensions, microseconds`)
console.table([0, 100].map((hidden) => ({ hidden, ...scoreTime(hidden) })))
console.log('checks on their thread, microseconds a job; and what an expression that never ends costs')
console.table(await checkTimes())

async function checkTimes() {
  const checker = new ThreadChecker({ clock: systemClock, log: silentLog, onLate: () => undefined })
  const check = (pattern: string): Check => ({ kind: 'expression', of: 'answer', pattern, ignoreCase: false })
  const texts = { question: 'What is 6 * 7?', answer: `${'a'.repeat(40)}! It is 42.` }
  const took = async (checks: readonly Check[]) => {
    const startedAt = performance.now()
    await checker.check({ checks, texts, redactions: [] })
    return 1_000 * (performance.now() - startedAt)
  }
  const usual = [check('It is'), check('^No'), { kind: 'validator', of: 'answer', check: 'arithmetic' } as const]
  const first = await took(usual)
  for (let i = 0; i < 1_000; i += 1) await took(usual)
  const times: number[] = []
  for (let i = 0; i < 2_000; i += 1) times.push(await took(usual))
  times.sort((a, b) => a - b)
  const hostile = await took([check('^(a+)+$')])
  const next = await took(usual)
  checker.close()
  const figures = {
    'first (starts the thread)': first,
    median: times[1_000],
    p99: times[1_980],
    hostile,
    'the next': next,
  }
  return Object.entries(figures).map(([job, microseconds]) => ({ job, microseconds: Math.round(microseconds ?? 0) }))
}

function worth(law: SourceLaw, scalariser: (typeof scalarisers)[number]): string {
  const all = seeds.map((seed) => predictedUnder(law, { scalariser, seed, examples: 2_000, asked: 5_000 }))
  const mean = (numbers: readonly number[]) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length
  return `${mean(all.map((each) => expectedCalibrationError(each))).toFixed(3)} (${mean(all.map((each) => rankDetermination(each))).toFixed(2)})`
}

function scoreTime(hidden: number): { median: string; worst: string } {
  const random = seeded(1)
  const shape = { features: width + riskSignals.length, classes: 2, hidden }
  const digest = 'ab'.repeat(32)
  const scorer = scorerOf(
    RiskCalibration.parse({
      kind: 'RiskCalibration',
      version: 1,
      model: digest,
      embedding: { model: digest, width },
      signals: riskSignals.map((name) => ({ name, mean: 0, scale: 1 })),
      labels: ['right', 'wrong'],
      sources: ['rule'],
      hidden,
      parameters: packedNumbers(Float64Array.from({ length: parameterCount(shape) }, () => random() - 0.5)),
      scalariser: 'quadratic',
      trained: { examples: 1, epochs: 1 },
      measured: null,
    }),
  )
  const embedding = Array.from({ length: width }, () => random() - 0.5)
  const signals = {
    meanLogProbability: -1,
    leastLogProbability: -3,
    answerCharactersLog: 4,
    agreement: 0.5,
    ranking: 0,
  }
  const once = () => riskScore(scorer, embedding, { ownLabel: 0, signals })
  for (let i = 0; i < 2_000; i += 1) once()
  const times = Array.from({ length: 2_000 }, () => {
    const startedAt = performance.now()
    once()
    return 1_000 * (performance.now() - startedAt)
  }).sort((a, b) => a - b)
  return { median: (times[times.length / 2] ?? 0).toFixed(1), worst: (times.at(-1) ?? 0).toFixed(1) }
}
