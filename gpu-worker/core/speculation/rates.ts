/**
 * Chances learned from trials, with memory that fades: `Rate` for what all sequences share (slow, with an optimistic start), `Shift`
 * for how far one sequence differs from that (fast, and it forgets at once when its recent trials contradict the older ones).
 */

/** Nothing is ever taken for certain, nor for impossible. */
const chanceMin = 0.005

export class Rate {
  readonly #windowTrials: number
  #trials: number
  #successes: number

  /** Starts as if `priorTrials` trials had gone with the chance `prior`; they fade like others. */
  constructor(options: { readonly prior: number; readonly priorTrials: number; readonly windowTrials: number }) {
    this.#windowTrials = options.windowTrials
    this.#trials = options.priorTrials
    this.#successes = options.prior * options.priorTrials
  }

  get trials(): number {
    return this.#trials
  }

  /** `success` may be a fraction: an expected outcome. */
  observe(success: number, weight = 1): void {
    const keep = 1 - weight / this.#windowTrials
    this.#trials = keep * this.#trials + weight
    this.#successes = keep * this.#successes + weight * success
  }

  get value(): number {
    return this.#trials > 0 ? this.#successes / this.#trials : 0
  }

  /** The chance where only few trials were seen: as if `trials` more had gone like `towards`. */
  shrunk(towards: number, trials: number): number {
    return (this.#successes + trials * towards) / (this.#trials + trials)
  }
}

/** Trials, what came of them, and what was expected. */
interface Window {
  trials: number
  successes: number
  expected: number
}

const slowTrials = 96
const fastTrials = 12
/** The recent trials must differ from all by so many standard deviations before the others are forgotten. */
const surprise = 2.5
/** Trials after which a sequence's own record weighs as much as everybody's. */
const shrinkTrials = 12

export class Shift {
  readonly #slow: Window = { trials: 0, successes: 0, expected: 0 }
  readonly #fast: Window = { trials: 0, successes: 0, expected: 0 }
  #value: number | null = 0

  get trials(): number {
    return this.#slow.trials
  }

  observe(trial: { readonly success: number; readonly expected: number; readonly weight?: number }): void {
    add(this.#slow, trial, slowTrials)
    add(this.#fast, trial, fastTrials)
    if (this.#hasChanged()) Object.assign(this.#slow, this.#fast)
    this.#value = null
  }

  /** On the scale of log odds: 0 is like everybody. */
  get value(): number {
    this.#value ??= shiftOf(this.#slow)
    return this.#value
  }

  #hasChanged(): boolean {
    const [slow, fast] = [this.#slow, this.#fast]
    if (fast.trials < fastTrials / 2) return false
    const difference = (fast.successes - fast.expected) / fast.trials - (slow.successes - slow.expected) / slow.trials
    const chance = clamp(slow.successes / slow.trials)
    // A mean that fades is as steady as one over twice its trials.
    return Math.abs(difference) > surprise * Math.sqrt((chance * (1 - chance)) / (2 * fast.trials))
  }
}

function add(window: Window, trial: { success: number; expected: number; weight?: number }, trialsMax: number): void {
  const weight = trial.weight ?? 1
  const keep = 1 - weight / trialsMax
  window.trials = keep * window.trials + weight
  window.successes = keep * window.successes + weight * trial.success
  window.expected = keep * window.expected + weight * trial.expected
}

function shiftOf({ trials, successes, expected }: Window): number {
  if (trials === 0) return 0
  const chance = clamp(expected / trials)
  const own = (successes + shrinkTrials * chance) / (trials + shrinkTrials)
  return logOdds(clamp(own)) - logOdds(chance)
}

/** `chance` moved by `shift` on the scale of log odds. */
export function shifted(chance: number, shift: number): number {
  return shift === 0 ? chance : clamp(1 / (1 + Math.exp(-logOdds(clamp(chance)) - shift)))
}

const clamp = (chance: number) => Math.min(1 - chanceMin, Math.max(chanceMin, chance))
const logOdds = (chance: number) => Math.log(chance / (1 - chance))
