/**
 * Who proposes for a sequence: the method with the best expected goodput, a bandit with one arm per proposer.
 *
 * What nobody has tried is believed to be good (`Acceptance`), so every method gets its turn. Changing costs: another one must be better
 * by a margin, or two that are alike would take turns. Where the best had nothing to say the last time, the next one is heard; and now
 * and then one that is hardly known.
 */
import type { Acceptance } from './acceptance.ts'
import type { RunningSequence } from './controller.ts'
import type { ProposerMethod } from './proposer.ts'

/** What another method must be better by. */
const switchGain = 0.03
/** Steps of a sequence between two in which a method is heard that is hardly known. */
const exploreTurns = 48
const knownTrials = 4

export interface Prices {
  /** Step time with `length` draft tokens for every sequence over step time without. */
  stepRatio(length: number): number
  /** The same for proposing them. */
  draftRatio(method: ProposerMethod, length: number): number
}

interface Arm {
  current: ProposerMethod | null
  turns: number
  /** Who was asked last and had nothing to say; it is passed over once. */
  silent: ProposerMethod | null
}

export class MethodChoice {
  readonly #acceptance: Acceptance
  readonly #arms = new Map<number, Arm>()

  constructor(acceptance: Acceptance) {
    this.#acceptance = acceptance
  }

  choose({ key, methods, tokensMax }: RunningSequence, prices: Prices): ProposerMethod | null {
    const [first] = methods
    if (first === undefined || methods.length === 1) return first ?? null
    const arm = this.#armOf(key)
    const worth = (method: ProposerMethod) => this.#worth(method, { key, tokensMax, prices })
    const ranked = methods.map((method) => ({ method, worth: worth(method) })).sort((a, b) => b.worth - a.worth)
    const [best = { method: first, worth: 0 }] = ranked
    const current = ranked.find(({ method }) => method === arm.current)
    if (current === undefined || best.worth > current.worth * (1 + switchGain)) arm.current = best.method
    const others = ranked.filter(({ method }) => method !== arm.current)
    arm.turns += 1
    if (arm.silent === arm.current) {
      arm.silent = null
      return others.find(({ worth: expected }) => expected > 1)?.method ?? arm.current
    }
    if (arm.turns % exploreTurns !== 0) return arm.current
    const unknown = others.find(({ method }) => this.#acceptance.trialsOf(method, key) < knownTrials)
    return unknown?.method ?? arm.current
  }

  /** The sequence was asked for, and got so many tokens. */
  asked(key: number, method: ProposerMethod, tokens: number): void {
    this.#armOf(key).silent = tokens === 0 ? method : null
  }

  forget(key: number): void {
    this.#arms.delete(key)
  }

  /** Tokens per time against none, if all sequences drafted as this one does. */
  #worth(method: ProposerMethod, of: { key: number; tokensMax: number; prices: Prices }): number {
    const gains = this.#acceptance.expectedGains(method, of.key, of.tokensMax)
    let tokens = 1
    let best = 1
    for (const [i, gain] of gains.entries()) {
      tokens += gain
      best = Math.max(best, tokens / (of.prices.stepRatio(i + 1) + of.prices.draftRatio(method, i + 1)))
    }
    return best
  }

  #armOf(key: number): Arm {
    const known = this.#arms.get(key)
    if (known !== undefined) return known
    const arm: Arm = { current: null, turns: 0, silent: null }
    this.#arms.set(key, arm)
    return arm
  }
}
