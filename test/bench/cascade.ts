/**
 * How well a small model's answers can be told right from wrong, and what a cascade from it to a larger one makes of that: SmolLM2-135M
 * (the test model) and gemma-3-270m on generated questions with one right answer each, both models continuing few-shot prompts.
 *
 * Run: `npm run bench -- cascade [--questions 600] [--seconds 3600] [--threads 2]`. A run goes on where the last one ended (`--fresh`: from the
 * beginning), and keeps what it has measured every twenty questions; the tables and the figure are of what is there. Needs the small test
 * model; the larger one is fetched (230 MB).
 */
import * as z from 'zod'
import { CascadeReference } from '#contracts/calibration.ts'
import { limits } from '#contracts/limits.ts'
import { systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { NextTokens } from '../../gpu-worker/calibration/nextTokens.ts'
import { createLlamaRunner } from '../../gpu-worker/llama/llamaRunner.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { judgePrompts, priorOf, priorPrompts, type Reference, scoreOfAnswer } from '../../router/core/judgement.ts'
import { CascadeRow, reportCascade } from './harness/cascadeReport.ts'
import {
  answerIn,
  type CheckableQuestion,
  checkableQuestions,
  fewShotPrompt,
  isRight,
} from './harness/checkableQuestions.ts'
import { earlierList, joinParts } from './harness/earlierResults.ts'
import { gemmaModel } from './harness/gemmaModel.ts'
import { modelPath } from './harness/model.ts'
import { readOptions } from './harness/options.ts'
import { print, Report } from './harness/report.ts'
import { type ShortAnswer, shortAnswers } from './harness/shortAnswers.ts'

const options = readOptions({ rounds: 1, quickRounds: 1 })
const count = options.value('questions', options.quick ? 40 : 600)
const threads = options.value('threads', 2)
const giveUpAt = systemClock.now() + 1_000 * options.value('seconds', 3_600)
const isFresh = options.quick || process.argv.includes('--fresh')
const answerTokensMax = 12
const ofEachKind = 3
const savedEvery = 20
const chunk = 120

/** Those that are measured, and others before them of which references are taken. */
const all = checkableQuestions(count + 60, 20_260)
const questions = all.slice(60).map((question, number) => ({ ...question, number }))
const earlier = isFresh ? [] : earlierList('cascade', 'rows', z.string()).map((line) => CascadeRow.read(line))
const known = new Set(earlier.map(({ number }) => number))
const open = questions.filter(({ number }) => !known.has(number))

const report = new Report('cascade', 'A cascade from SmolLM2-135M to gemma-3-270m')
const references = await referencesOnce()
report.add('references', references)
let rows = earlier
for (let from = 0; from < open.length && systemClock.now() < giveUpAt; from += chunk)
  await measure(open.slice(from, from + chunk))
keep(rows)
reportCascade(report, rows, (number) => questions[number]?.kind ?? 'unknown')
process.exitCode = report.finish({ quick: options.quick })

async function measure(asked: readonly Numbered[]): Promise<void> {
  print(`both models answer ${asked.length} questions`)
  const own = await answersOf(modelPath(), asked)
  const other = await answersOf(await gemmaModel(), asked)
  await using runner = await openRunner(modelPath(), 2 * references.length)
  const next = new NextTokens(runner, limits.request.topLogprobsMax)
  // The small model judges itself, as it does where a route names no other judge.
  const prior = priorOf(await next.of(priorPrompts())) ?? undefined
  for (const [i, question] of asked.entries()) {
    if (systemClock.now() > giveUpAt) return
    const [small, large] = [own[i], other[i]]
    if (small === undefined || large === undefined) throw new Error(`question ${question.number} was not answered`)
    const answered = { question: question.question, answer: answerIn(small.text) }
    const score = scoreOfAnswer(await next.of(judgePrompts(answered, references)), references, prior)
    rows = joinParts(rows, [rowOf(question, { small, large, score })], ({ number }) => String(number))
    if ((i + 1) % savedEvery === 0) keep(rows)
  }
}

/** A long run that is ended early has not been for nothing. */
function keep(measured: readonly CascadeRow[]): void {
  report.add('rows', measured.toSorted((a, b) => a.number - b.number).map(CascadeRow.write))
  report.save({ quick: options.quick })
  print(`${measured.length} of ${count} questions`)
}

function openRunner(path: string, slots: number): Promise<ModelRunner> {
  return createLlamaRunner({
    modelPath: path,
    slots,
    contextTokensMax: 256,
    threads,
    kvCacheType: 'f16',
    kvLayout: 'split',
    backend: 'auto',
    embeddings: false,
    host: { platform: process.platform, arch: process.arch },
    clock: systemClock,
    log: silentLog,
  })
}

async function answersOf(path: string, asked: readonly CheckableQuestion[]): Promise<ShortAnswer[]> {
  await using runner = await openRunner(path, 8)
  return await shortAnswers(runner, asked.map(fewShotPrompt), answerTokensMax)
}

async function referencesOnce(): Promise<Reference[]> {
  const before = isFresh ? [] : earlierList('cascade', 'references', CascadeReference)
  if (before.length > 0) return before
  const asked = all.slice(0, 60)
  return chooseReferences(asked, await answersOf(modelPath(), asked))
}

/** The small model's own answers, right and wrong, each of another kind of question. */
function chooseReferences(asked: readonly CheckableQuestion[], answers: readonly ShortAnswer[]): Reference[] {
  const candidates = asked.map(({ kind, question, expected }, i) => {
    const answer = answerIn(answers[i]?.text ?? '')
    return { kind, reference: { question, answer, correct: isRight(answer, expected) } }
  })
  const kinds = new Set<string>()
  return [true, false].flatMap((correct) => {
    const chosen: Reference[] = []
    for (const { kind, reference } of candidates) {
      if (chosen.length === ofEachKind) break
      if (reference.correct !== correct || kinds.has(kind)) continue
      kinds.add(kind)
      chosen.push(reference)
    }
    return chosen
  })
}

interface Numbered extends CheckableQuestion {
  readonly number: number
}

interface Outcome {
  readonly small: ShortAnswer
  readonly large: ShortAnswer
  readonly score: number | null
}

function rowOf({ number, expected }: Numbered, { small, large, score }: Outcome): CascadeRow {
  const answer = answerIn(small.text)
  return {
    number,
    smallRight: isRight(answer, expected),
    smallTokens: small.tokens,
    meanLogProbability: small.meanLogProbability,
    leastLogProbability: small.leastLogProbability,
    characters: answer.length,
    largeRight: isRight(answerIn(large.text), expected),
    largeTokens: large.tokens,
    score,
  }
}
