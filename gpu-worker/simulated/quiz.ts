/**
 * Answers of known quality from the simulated engine, and a simulated judge of them: so that a cascade can be tested, and its figures
 * compared with theory, without a model.
 *
 * An answer begins with the word ` good` where it counts as right and with ` not` where it counts as wrong; which of them is drawn from
 * (seed, prompt), so it stays what it is. Asked which of two answers is the more correct one (`router/core/judgement.ts`), it reads those
 * words, and with chance `sees` says what they say, else any label. Everywhere else the engine writes as it always does. Pure.
 */
import type { SimulatedSettings } from '#contracts/resources/modelDeployment.ts'
import { mix } from './languageModel.ts'
import { pieceOf, tokens, wordToken } from './vocabulary.ts'

/** Token → its logit, over whatever else the row says. */
export type Raised = ReadonlyMap<number, number>

export type QuizSettings = NonNullable<SimulatedSettings['quiz']>

const forced = 24
const chatBegins = 'assistant\n'
const completionBegins = 'Answer:'
const judgeBegins = 'The more correct answer is'
const right = wordToken(' good')
const wrong = wordToken(' not')
const labels = { a: 0x41, b: 0x42, alike: 0x43 } as const

/** `history`: all tokens of the sequence; null where this is no place to begin an answer. */
export function quizRow(history: readonly number[], quiz: QuizSettings & { readonly seed: number }): Raised | null {
  const tail = textOf(history.slice(-judgeBegins.length))
  if (tail.endsWith(judgeBegins)) return judgement(textOf(history), quiz)
  const isChat = tail.endsWith(chatBegins) && history.at(-chatBegins.length - 1) === tokens.messageStart
  if (!isChat && !tail.endsWith(completionBegins)) return null
  const word = chance(history, quiz.seed, 1) < quiz.right ? right : wrong
  return word === undefined ? null : new Map([[word, forced]])
}

function judgement(prompt: string, quiz: QuizSettings & { readonly seed: number }): Raised {
  const [, first = '', second = ''] = prompt.split(/Pair [AB]\n/)
  const isSeen = chance([...Buffer.from(prompt)], quiz.seed, 2) < quiz.sees
  const truth = verdict(isRight(first), isRight(second))
  const said = isSeen ? truth : anyLabel(chance([...Buffer.from(prompt)], quiz.seed, 3))
  const raised = (token: number) => forced + Math.log(token === said ? likely : (1 - likely) / 2)
  return new Map(Object.values(labels).map((token) => [token, raised(token)]))
}

/** Of the label that is said; the two others share the rest. */
const likely = 0.8

function verdict(a: boolean, b: boolean): number {
  if (a === b) return labels.alike
  return a ? labels.a : labels.b
}

function anyLabel(unit: number): number {
  if (unit < 1 / 3) return labels.a
  return unit < 2 / 3 ? labels.b : labels.alike
}

const isRight = (pair: string) => /Answer:\s*good\b/.test(pair.slice(pair.lastIndexOf('Answer:')))

/** 0 ≤ x < 1, a function of all tokens, so the same question always fares the same. */
function chance(history: readonly number[], seed: number, use: number): number {
  return history.reduce((hash, token) => mix(hash, token), mix(seed, use)) / 0x1_0000_0000
}

const textOf = (history: readonly number[]) => Buffer.concat(history.map((token) => pieceOf(token))).toString('utf8')
