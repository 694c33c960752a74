/**
 * How many draft tokens to give each sequence of one step, so that expected tokens per time are greatest.
 *
 * Two families of candidates: the same length for all (what a split cache likes), and lengths by marginal gain (the next token
 * goes to the sequence that gains most by it). Every candidate is priced as the batch shape it makes, so the price decides between
 * equal lengths, passes of their own for a few sequences, and none at all. Of equally good ones the shortest wins.
 */
import { isBetter } from './expectedLength.ts'
import type { StepPrices } from './shapes.ts'

export interface LengthProblem {
  /** `gains[i][j]`: expected tokens by verifying draft token j + 1 of sequence i, all before it included. Sequences in the order of ids. */
  readonly gains: readonly (readonly number[])[]
  /** Draft tokens of all sequences together. */
  readonly rowsMax: number
  readonly prices: StepPrices
  /** Of proposing so many tokens for each sequence. */
  readonly draftMs: (lengths: readonly number[]) => number
}

export interface LengthPlan {
  readonly lengths: readonly number[]
  /** Expected tokens per millisecond. */
  readonly goodput: number
  readonly tokens: number
  readonly ms: number
}

export function planLengths(problem: LengthProblem): LengthPlan {
  const search = new Search(problem)
  search.commonLengths()
  if (problem.gains.length > 1) search.byMarginalGain()
  return search.best
}

export function evaluate(problem: LengthProblem, lengths: readonly number[]): LengthPlan {
  const tokens = lengths.reduce((sum, length, i) => sum + gainOf(problem.gains[i], length), lengths.length)
  const ms = problem.prices.stepMs(lengths.map((length) => 1 + length)) + problem.draftMs(lengths)
  return { lengths, goodput: tokens / ms, tokens, ms }
}

interface Step {
  readonly sequence: number
  readonly gain: number
  /** Never above those before it, so that sorting keeps the order within a sequence. */
  readonly worth: number
}

/** Grows one candidate in place, prices it after each change, and keeps the best. */
class Search {
  readonly #problem: LengthProblem
  readonly #lengths: number[]
  readonly #counts: number[]
  #rows = 0
  #tokens = 0
  best: LengthPlan

  constructor(problem: LengthProblem) {
    this.#problem = problem
    this.#lengths = problem.gains.map(() => 0)
    this.#counts = problem.gains.map(() => 1)
    this.#reset()
    this.best = evaluate(problem, [...this.#lengths])
  }

  commonLengths(): void {
    const { gains, rowsMax } = this.#problem
    const lengthMax = gains.reduce((max, list) => Math.max(max, list.length), 0)
    for (let length = 1; length <= lengthMax; length++) {
      for (const [i, list] of gains.entries()) if (list.length >= length) this.#lengthen(i, list[length - 1] ?? 0)
      if (this.#rows - gains.length > rowsMax) break
      this.#consider()
    }
    this.#reset()
  }

  byMarginalGain(): void {
    const steps: Step[] = []
    for (const [sequence, list] of this.#problem.gains.entries()) {
      let worth = Number.POSITIVE_INFINITY
      for (const gain of list) {
        worth = Math.min(worth, gain)
        steps.push({ sequence, gain, worth })
      }
    }
    steps.sort((a, b) => b.worth - a.worth)
    for (const { sequence, gain } of steps.slice(0, this.#problem.rowsMax)) {
      this.#lengthen(sequence, gain)
      this.#consider()
    }
    this.#reset()
  }

  #lengthen(sequence: number, gain: number): void {
    this.#lengths[sequence] = (this.#lengths[sequence] ?? 0) + 1
    this.#counts[sequence] = (this.#counts[sequence] ?? 1) + 1
    this.#rows += 1
    this.#tokens += gain
  }

  #consider(): void {
    const { prices, draftMs } = this.#problem
    // Most candidates fall already at the price of one pass.
    if (!isBetter(this.#tokens / prices.passMs(this.#rows), this.best.goodput)) return
    const ms = prices.stepMs(this.#counts) + draftMs(this.#lengths)
    const goodput = this.#tokens / ms
    if (isBetter(goodput, this.best.goodput))
      this.best = { lengths: [...this.#lengths], goodput, tokens: this.#tokens, ms }
  }

  #reset(): void {
    this.#lengths.fill(0)
    this.#counts.fill(1)
    this.#rows = this.#counts.length
    this.#tokens = this.#counts.length
  }
}

function gainOf(gains: readonly number[] | undefined, length: number): number {
  let sum = 0
  for (let i = 0; i < length; i++) sum += gains?.[i] ?? 0
  return sum
}
