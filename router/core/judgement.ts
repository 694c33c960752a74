/**
 * Meta Ranking's questions to a judge, and what its answers come to. The judge only has to say how likely the labels A, B and C are as
 * its next token, so a question costs one prompt and one token.
 *
 * Each reference is asked about twice: as pair A before the answer, so that this beginning is the same for every request and stays in the
 * prefix cache; and as pair B behind it, so that a liking for a place cancels. The order of the prompts is that of the references, both
 * orders of one beside each other. The same two prompts with nothing in them tell what the judge says anyway. Pure.
 */
import assert from 'node:assert/strict'
import {
  calibrated,
  compare,
  evenLaw,
  type Judged,
  type LabelLaw,
  type LabelLogits,
  lawOfLabels,
  scoreOf,
} from '#algorithms/metaRanking.ts'
import type { TokenLogprob, Work } from '#contracts/messages.ts'

export interface AnsweredQuestion {
  readonly question: string
  readonly answer: string
}

export interface Reference extends AnsweredQuestion {
  readonly correct: boolean
}

/** What a judge says of empty pairs, by place; `evenLaw` twice where nobody asked. */
export interface JudgePrior {
  readonly answerFirst: LabelLaw
  readonly referenceFirst: LabelLaw
}

export const noPrior: JudgePrior = { answerFirst: evenLaw, referenceFirst: evenLaw }

const nothing: AnsweredQuestion = { question: 'N/A', answer: 'N/A' }

/**
 * What was asked, as references ask it; null where only token ids were given, or nothing is answered. Of a conversation what was said
 * before belongs to the question; a system prompt does not: it is the same for every request of an application, and tells no two apart.
 */
export function questionOf(work: Work): string | null {
  switch (work.kind) {
    case 'completion':
      return typeof work.prompt === 'string' ? work.prompt : null
    case 'chat': {
      const said = work.messages.filter(({ role }) => role !== 'system')
      const [only, ...more] = said.length === 0 ? work.messages : said
      if (only === undefined) return null
      return more.length === 0 ? only.content : said.map(({ role, content }) => `${role}: ${content}`).join('\n')
    }
    case 'embedding':
      return null
    default:
      return work satisfies never
  }
}

/** Two for each reference: the reference first, then the answer first. */
export function judgePrompts(answered: AnsweredQuestion, references: readonly Reference[]): string[] {
  return references.flatMap((reference) => [promptOf(reference, answered), promptOf(answered, reference)])
}

/** Of the longest that `judgePrompts` makes of these, without making any. */
export function judgePromptCharactersMax(
  answers: readonly AnsweredQuestion[],
  references: readonly AnsweredQuestion[],
): number {
  return promptOf(blank, blank).length + longestOf(answers) + longestOf(references)
}

const longestOf = (pairs: readonly AnsweredQuestion[]) =>
  pairs.reduce((most, { question, answer }) => Math.max(most, question.length + answer.length), 0)

const blank: AnsweredQuestion = { question: '', answer: '' }

/** As many as `judgePrompts` makes for one reference. */
export function priorPrompts(): string[] {
  return [promptOf(nothing, nothing), promptOf(nothing, nothing)]
}

/** `said`: of each prompt of `priorPrompts`, in order; null where none of the labels was among what the judge reported. */
export function priorOf(said: readonly (TokenLogprob | undefined)[]): JudgePrior | null {
  const laws = said.map(labelLaw)
  const [referenceFirst, answerFirst] = laws
  return referenceFirst && answerFirst ? { referenceFirst, answerFirst } : null
}

/**
 * `said`: the judge's first token for each prompt of `judgePrompts`, in order. From -1 to 1; null where of no reference both looks are
 * there. A reference of which one look is missing is left out: half a comparison is a liking for a place.
 */
export function scoreOfAnswer(
  said: readonly (TokenLogprob | undefined)[],
  references: readonly Reference[],
  prior: JudgePrior = noPrior,
): number | null {
  assert.equal(said.length, 2 * references.length, 'two looks for each reference')
  const judged = references.flatMap(({ correct }, i): Judged[] => {
    const referenceFirst = labelLaw(said[2 * i])
    const answerFirst = labelLaw(said[2 * i + 1])
    if (referenceFirst === null || answerFirst === null) return []
    const comparison = compare({
      answerFirst: calibrated(answerFirst, prior.answerFirst),
      referenceFirst: calibrated(referenceFirst, prior.referenceFirst),
    })
    return [{ comparison, referenceCorrect: correct }]
  })
  return judged.length === 0 ? null : scoreOf(judged, 'expected')
}

/** The labels' law among themselves; null where none of them was reported. */
export function labelLaw(said: TokenLogprob | undefined): LabelLaw | null {
  if (said === undefined) return null
  const reported = [said, ...said.top.filter(({ token }) => token !== said.token)]
  const found = labels.map((label) => logSumOf(reported.filter(({ token }) => token.trim() === label)))
  if (found.every((each) => each === Number.NEGATIVE_INFINITY)) return null
  // What was not reported is at most as likely as the least of what was.
  const least = Math.min(...reported.map(({ logprob }) => logprob))
  const [a = least, b = least, alike = least] = found.map((each) => (each === Number.NEGATIVE_INFINITY ? least : each))
  const logits: LabelLogits = { a, b, alike }
  return lawOfLabels(logits)
}

const labels = ['A', 'B', 'C'] as const

/** ` A` and `A` are the same answer. */
function logSumOf(tokens: readonly { readonly logprob: number }[]): number {
  if (tokens.length === 0) return Number.NEGATIVE_INFINITY
  const most = Math.max(...tokens.map(({ logprob }) => logprob))
  if (most === Number.NEGATIVE_INFINITY) return most
  return most + Math.log(tokens.reduce((sum, { logprob }) => sum + Math.exp(logprob - most), 0))
}

function promptOf(first: AnsweredQuestion, second: AnsweredQuestion): string {
  return [
    'Two questions, each with an answer. Which answer is the more correct one for its own question?',
    '',
    pairText('A', first),
    '',
    pairText('B', second),
    '',
    'A: the answer of pair A. B: the answer of pair B. C: both alike.',
    'The more correct answer is',
  ].join('\n')
}

const pairText = (label: string, { question, answer }: AnsweredQuestion) =>
  `Pair ${label}\nQuestion: ${question}\nAnswer: ${answer}`
