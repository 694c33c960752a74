/**
 * When to draft although it does not pay: a sequence that drafts nothing teaches nothing, so its acceptance would stay what it was.
 *
 * Two bounds. Each sequence waits 8 steps after its last trial, then twice as long after every probe that changed nothing. And all
 * probes together are paid from an account that grows by a share of the time spent, so that whatever they cost, they cost no
 * more than that share.
 */
import type { LengthPlan } from './lengths.ts'

/** Share of the time that probes may lose. */
const lossShare = 0.01
const waitStepsMin = 8
const waitStepsMax = 64
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
  evaluate(lengths: readonly number[]): LengthPlan
}

export class Probing {
  readonly #rests = new Map<number, Rest>()
  #savedMs = 0

  /** Indexes of sequences to draft one token for beyond the plan. */
  choose(offer: ProbeOffer): number[] {
    const due = offer.keys.flatMap((key, i) =>
      key !== null && this.#isDue(key, offer.plan.lengths[i] ?? 0) ? [i] : [],
    )
    if (due.length === 0) return []
    const [all, single] = [this.#price(offer, due), this.#price(offer, due.slice(0, 1))]
    const isAllCheaper = all.lossMs / due.length <= single.lossMs
    const affordable = (isAllCheaper ? [all, single] : [single, all]).find(({ lossMs }) => lossMs <= this.#savedMs)
    if (affordable === undefined) return []
    this.#savedMs -= Math.max(0, affordable.lossMs)
    for (const i of affordable.indexes) this.#probed(offer.keys[i] ?? null)
    return affordable.indexes
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

  #price({ plan, evaluate }: ProbeOffer, indexes: number[]): { indexes: number[]; lossMs: number } {
    const lengths = [...plan.lengths]
    for (const i of indexes) lengths[i] = 1
    const probe = evaluate(lengths)
    return { indexes, lossMs: probe.ms - probe.tokens / plan.goodput }
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
