/**
 * When to draft although it does not pay: a sequence that drafts nothing teaches nothing, so its acceptance would stay what it was.
 *
 * Two bounds. Each sequence waits 4 steps after its last trial, then up to 16, longer after every probe that changed nothing. And all
 * probes together are paid from an account that grows by a share of the time spent, so that whatever they cost, they cost no
 * more than that share. A probe is as long, and of as many sequences, as makes a trial cheapest.
 */
import type { LengthPlan } from './lengths.ts'

/** Share of the time that probes may lose. */
const lossShare = 0.015
const waitStepsMin = 4
const waitStepsMax = 16
const probeLengthMax = 4
/** The account holds this many steps at most: a long quiet time does not buy a burst. */
const savedStepsMax = 4

interface Rest {
  steps: number
  waitSteps: number
}

export interface ProbeOffer {
  /** The plan without probes. */
  readonly plan: LengthPlan
  /** Keys by index of the plan's lengths; null where that sequence must not draft. */
  readonly keys: readonly (number | null)[]
  readonly evaluate: (lengths: readonly number[]) => LengthPlan
  /** Trials that so many draft tokens of one sequence are expected to be: those behind a rejected one are none. */
  readonly trials: (index: number, length: number) => number
}

export interface Probe {
  readonly indexes: readonly number[]
  readonly length: number
}

const noProbe: Probe = { indexes: [], length: 0 }

export class Probing {
  readonly #rests = new Map<number, Rest>()
  #savedMs = 0

  /** Sequences to draft for beyond the plan, and how many tokens. */
  choose(offer: ProbeOffer): Probe {
    const due = offer.keys.flatMap((key, i) =>
      key !== null && this.#isDue(key, offer.plan.lengths[i] ?? 0) ? [i] : [],
    )
    if (due.length === 0) return noProbe
    // All together may be cheapest of all: a batch that stays even is one pass.
    const idle = offer.keys.flatMap((key, i) => (key !== null && (offer.plan.lengths[i] ?? 0) === 0 ? [i] : []))
    const sets = idle.length > due.length ? [due, due.slice(0, 1), idle] : [due, due.slice(0, 1)]
    const probes = sets.flatMap((indexes) => this.#priced(offer, indexes))
    const affordable = probes.filter(({ lossMs }) => lossMs <= this.#savedMs)
    const [first = null, ...others] = affordable
    if (first === null) return noProbe
    const best = others.reduce((a, b) => (b.lossMs / b.trials < a.lossMs / a.trials ? b : a), first)
    this.#savedMs -= Math.max(0, best.lossMs)
    for (const i of best.indexes) this.#probed(offer.keys[i] ?? null)
    return best
  }

  /** A step has run; `tried` are the sequences whose drafts were verified, `paying` those for which that was the plan. */
  stepped(step: {
    readonly keys: readonly number[]
    readonly tried: ReadonlySet<number>
    readonly paying: ReadonlySet<number>
    readonly ms: number
  }): void {
    this.#savedMs = Math.min(savedStepsMax * step.ms, this.#savedMs + lossShare * step.ms)
    for (const key of step.keys) {
      const rest = this.#rest(key)
      rest.steps = step.tried.has(key) ? 0 : rest.steps + 1
      if (step.paying.has(key)) rest.waitSteps = waitStepsMin
    }
  }

  forget(key: number): void {
    this.#rests.delete(key)
  }

  #isDue(key: number, planned: number): boolean {
    const { steps, waitSteps } = this.#rest(key)
    return planned === 0 && steps >= waitSteps
  }

  /** Every length for these sequences, with what it would lose against the plan and how many trials it would bring. */
  #priced({ plan, trials, evaluate }: ProbeOffer, indexes: number[]): (Probe & { lossMs: number; trials: number })[] {
    return Array.from({ length: probeLengthMax }, (_, i) => {
      const lengths = [...plan.lengths]
      for (const index of indexes) lengths[index] = i + 1
      const probe = evaluate(lengths)
      return {
        indexes,
        length: i + 1,
        lossMs: probe.ms - probe.tokens / plan.goodput,
        trials: indexes.reduce((sum, index) => sum + trials(index, i + 1), 0),
      }
    })
  }

  #probed(key: number | null): void {
    if (key === null) return
    const rest = this.#rest(key)
    rest.steps = 0
    rest.waitSteps = Math.min(waitStepsMax, 2 * rest.waitSteps)
  }

  #rest(key: number): Rest {
    const known = this.#rests.get(key)
    if (known !== undefined) return known
    const rest = { steps: 0, waitSteps: waitStepsMin }
    this.#rests.set(key, rest)
    return rest
  }
}
