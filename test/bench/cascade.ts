/**
 * How well a small model's answers can be told right from wrong, and what a cascade from it to a larger one makes of that: SmolLM2-135M
 * (the test model) and gemma-3-270m on generated questions with one right answer each, both models continuing few-shot prompts.
 *
 * Run: `npm run bench -- cascade [--questions 600] [--parts 6 --part 0]`. Parts join what earlier ones have measured; the last table and
 * the figures are of what is there. Needs the small test model; the larger one is fetched (230 MB).
 */
import * as z from 'zod'
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
const count = options.value('questions', options.quick ? 60 : 600)
const parts = options.value('parts', 1)
const part = options.value('part', 0)
const answerTokensMax = 12
const ofEachKind = 3
const name = options.quick ? 'cascade.quick.local' : 'cascade'

/** Those that are measured, and others before them of which references are taken. */
const all = checkableQuestions(count + 60, 20_260)
const forReferences = all.slice(0, 60)
const questions = all.slice(60).map((question, number) => ({ ...question, number }))
const mine = questions.filter(({ number }) => number % parts === part)

const small = await openRunner(modelPath(), 8)
print(`the small model answers ${mine.length} questions`)
const references = chooseReferences(forReferences, await answersOf(small, forReferences))
const smallAnswers = await answersOf(small, mine)
await small[Symbol.asyncDispose]()
const scores = await judge(mine, smallAnswers)
const large = await openRunner(await gemmaModel(), 8)
print(`the large model answers ${mine.length} questions`)
const largeAnswers = await answersOf(large, mine)
await large[Symbol.asyncDispose]()

const measured = mine.map((question, i) => rowOf(question, i))
const rows = joinParts(
  options.quick ? [] : earlierList(name, 'rows', z.string()).map(CascadeRow.read),
  measured,
  (row) => String(row.number),
)
const report = new Report('cascade', 'A cascade from SmolLM2-135M to gemma-3-270m')
report.add('references', references)
report.add('rows', rows.toSorted((a, b) => a.number - b.number).map(CascadeRow.write))
reportCascade(report, rows, (number) => questions[number]?.kind ?? 'unknown')
process.exitCode = report.finish({ quick: options.quick })

function openRunner(path: string, slots: number): Promise<ModelRunner> {
  return createLlamaRunner({
    modelPath: path,
    slots,
    contextTokensMax: 256,
    threads: 2,
    kvCacheType: 'f16',
    kvLayout: 'split',
    backend: 'auto',
    embeddings: false,
    host: { platform: process.platform, arch: process.arch },
    clock: systemClock,
    log: silentLog,
  })
}

function answersOf(runner: ModelRunner, asked: readonly CheckableQuestion[]): Promise<ShortAnswer[]> {
  return shortAnswers(runner, asked.map(fewShotPrompt), answerTokensMax)
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

/** The small model judges itself, as it does where a route names no other judge. */
async function judge(asked: readonly CheckableQuestion[], answers: readonly ShortAnswer[]): Promise<(number | null)[]> {
  await using runner = await openRunner(modelPath(), 2 * references.length)
  const next = new NextTokens(runner, limits.request.topLogprobsMax)
  const prior = priorOf(await next.of(priorPrompts())) ?? undefined
  const judged: (number | null)[] = []
  for (const [i, { question }] of asked.entries()) {
    const answered = { question, answer: answerIn(answers[i]?.text ?? '') }
    judged.push(scoreOfAnswer(await next.of(judgePrompts(answered, references)), references, prior))
    if ((i + 1) % 20 === 0) print(`${i + 1} of ${asked.length} answers judged`)
  }
  return judged
}

function rowOf({ number, expected }: CheckableQuestion & { number: number }, i: number): CascadeRow {
  const [own, other] = [smallAnswers[i], largeAnswers[i]]
  if (own === undefined || other === undefined) throw new Error(`question ${number} was not answered`)
  const answer = answerIn(own.text)
  return {
    number,
    smallRight: isRight(answer, expected),
    smallTokens: own.tokens,
    meanLogProbability: own.meanLogProbability,
    leastLogProbability: own.leastLogProbability,
    characters: answer.length,
    largeRight: isRight(answerIn(other.text), expected),
    largeTokens: other.tokens,
    score: scores[i] ?? null,
  }
}
