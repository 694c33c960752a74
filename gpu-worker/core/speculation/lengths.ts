/**
 * How many draft tokens to give each sequence of one step, so that expected tokens per time are greatest.
 *
 * Two families of candidates: the same length for all (what a split cache likes), and lengths by marginal gain (the next token
 * goes to the sequence that gains most by it). Every candidate is priced as the batch shape it makes, so the price decides between
 * equal lengths, passes of their own for a few sequences, and none at all. Of equally good ones the shortest wins.
 */
import { isBetter } from './expectedLength.ts'

export interface LengthProblem {
  /** `gains[i][j]`: expected tokens by verifying draft token j + 1 of sequence i, all before it included. Sequences in the order of ids. */
  readonly gains: readonly (readonly number[])[]
  /** Draft tokens of all sequences together. */
  readonly rowsMax: number
  /** Of a step that computes so many tokens of each sequence. */
  stepMs(counts: readonly number[]): number
  /** Of proposing so many tokens for each sequence. */
  draftMs(lengths: readonly number[]): number
}

export interface LengthPlan {
  readonly lengths: readonly number[]
  /** Expected tokens per millisecond. */
  readonly goodput: number
  readonly tokens: number
  readonly ms: number
}

export function planLengths(problem: LengthProblem): LengthPlan {
  const none = evaluate(
    problem,
    problem.gains.map(() => 0),
  )
  let best = none
  const consider = (lengths: readonly number[], tokens: number) => {
    const plan = evaluate(problem, lengths, tokens)
    if (isBetter(plan.goodput, best.goodput)) best = plan
  }
  eachCommonLength(problem, consider)
  if (problem.gains.length > 1) eachByMarginalGain(problem, consider)
  return best
}

/** `tokens` spares adding the gains up, where the caller has done it. */
export function evaluate(problem: LengthProblem, lengths: readonly number[], tokens?: number): LengthPlan {
  const expected = tokens ?? lengths.reduce((sum, length, i) => sum + gainOf(problem.gains[i], length), lengths.length)
  const ms = problem.stepMs(lengths.map((length) => 1 + length)) + problem.draftMs(lengths)
  return { lengths: [...lengths], goodput: expected / ms, tokens: expected, ms }
}

type Consider = (lengths: readonly number[], tokens: number) => void

function eachCommonLength({ gains, rowsMax }: LengthProblem, consider: Consider): void {
  const lengthMax = gains.reduce((max, list) => Math.max(max, list.length), 0)
  const lengths = gains.map(() => 0)
  let tokens = gains.length
  let rows = 0
  for (let length = 1; length <= lengthMax; length++) {
    for (const [i, list] of gains.entries()) {
      if (list.length < length) continue
      lengths[i] = length
      tokens += list[length - 1] ?? 0
      rows += 1
    }
    if (rows > rowsMax) return
    consider(lengths, tokens)
  }
}

interface Step {
  readonly sequence: number
  readonly gain: number
  /** Never above those before it, so that sorting keeps the order within a sequence. */
  readonly worth: number
}

function eachByMarginalGain({ gains, rowsMax }: LengthProblem, consider: Consider): void {
  const steps: Step[] = []
  for (const [sequence, list] of gains.entries()) {
    let worth = Number.POSITIVE_INFINITY
    for (const gain of list) {
      worth = Math.min(worth, gain)
      steps.push({ sequence, gain, worth })
    }
  }
  steps.sort((a, b) => b.worth - a.worth)
  const lengths = gains.map(() => 0)
  let tokens = gains.length
  for (const { sequence, gain } of steps.slice(0, rowsMax)) {
    lengths[sequence] = (lengths[sequence] ?? 0) + 1
    tokens += gain
    consider(lengths, tokens)
  }
}

function gainOf(gains: readonly number[] | undefined, length: number): number {
  let sum = 0
  for (let i = 0; i < length; i++) sum += gains?.[i] ?? 0
  return sum
}
