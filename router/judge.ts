/**
 * Asks a judge how good an answer is: the prompts of `core/judgement.ts` as completions of one token with its alternatives, all at once
 * and each an ordinary request, so that the judge's worker keeps the references' beginnings in its prefix cache like any other prompt.
 *
 * Whatever goes wrong is no score: nobody is trusted because a judge failed.
 */
import type { ModelRecord } from '#contracts/records.ts'
import { limits } from '#contracts/limits.ts'
import { type Sampling, samplingDefaults } from '#contracts/sampling.ts'
import {
  type AnsweredQuestion,
  type JudgePrior,
  judgePromptCharactersMax,
  judgePrompts,
  noPrior,
  type Reference,
  scoreOfAnswer,
} from './core/judgement.ts'
import type { InnerRequests } from './innerRequests.ts'

export interface Judge {
  readonly model: ModelRecord
  readonly references: readonly Reference[]
  readonly prior: JudgePrior | null
}

/** Of each answer, from -1 to 1; the least of them where there are several. Null: the judge gave none. */
export async function judged(
  inner: InnerRequests,
  { model, references, prior }: Judge,
  answers: readonly AnsweredQuestion[],
): Promise<number | null> {
  if (!isAskable(model, references, answers)) return null
  const prompts = answers.flatMap((answered) => judgePrompts(answered, references))
  const works = prompts.map((prompt) => ({ kind: 'completion' as const, prompt, echo: false }))
  const answer = await inner.ask({ model, works, sampling: labelSampling, patienceMs: inner.patienceMs })
  if (answer.kind !== 'completed') return null
  const firsts = new Map(answer.choices.map(({ index, logprobs }) => [index, logprobs?.[0]]))
  const said = prompts.map((_, i) => firsts.get(i))
  const perAnswer = 2 * references.length
  const scores = answers.map((_, i) =>
    scoreOfAnswer(said.slice(i * perAnswer, (i + 1) * perAnswer), references, prior ?? noPrior),
  )
  return scores.reduce((least, score) => (least === null || score === null ? null : Math.min(least, score)))
}

/** Only the next token's law is read, so it does not matter which of them is drawn. */
const labelSampling: Sampling = {
  ...samplingDefaults,
  temperature: 0,
  seed: 0,
  maxTokens: 1,
  ignoreEos: true,
  logprobs: limits.request.topLogprobsMax,
}

/**
 * Looked at before a prompt is written: each holds an answer whole, so all of them are many times what the client sent. One that cannot
 * fit, whatever the tokenizer, is not even sent (of the others the judge's worker says so), nor are more than its line could take.
 */
function isAskable(
  { contextTokensMax, capabilities, queue }: ModelRecord,
  references: readonly Reference[],
  answers: readonly AnsweredQuestion[],
): boolean {
  const count = 2 * references.length * answers.length
  if (!capabilities.completions || count === 0 || count > limits.router.innerWorksMax) return false
  const longest = judgePromptCharactersMax(answers, references)
  return longest <= contextTokensMax * limits.request.charactersPerTokenMax && count * longest <= queue.bytesMax
}
