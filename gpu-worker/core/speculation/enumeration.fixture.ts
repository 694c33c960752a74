/**
 * Every way a round of drafting and verifying can go, with its probability: exact laws of what comes out, without a single random
 * number. At each question to `Chance` the run is repeated once per answer that has any probability.
 */
import type { Chance } from './chance.ts'
import { type Law, pointLaw, probabilityOf } from './law.ts'
import { pathOf, type TokenTree } from './tokenTree.ts'
import type { Verifier } from './verifier.ts'

export interface Outcome<T> {
  readonly value: T
  readonly probability: number
}

/** `run` must depend on nothing but the answers of its chance. */
export function outcomesOf<T>(run: (chance: Chance) => T): Outcome<T>[] {
  const outcomes: Outcome<T>[] = []
  const script = new Script()
  do {
    const value = run(script)
    outcomes.push({ value, probability: script.probability })
  } while (script.advance())
  return outcomes
}

/** What follows a path of tokens: the target's or the draft's law there. */
export type Model = (path: readonly number[]) => Law

/** Texts by their tokens, 'a,b,c', with their probability. */
export type TextLaw = Map<string, number>

export interface RoundOutcome {
  /** Accepted drafts and the token after them. */
  readonly tokens: readonly number[]
  readonly probability: number
}

/** What one round emits: every tree that can be grown, and for each every way of judging it. */
export function emissionsOf(options: {
  readonly trees: readonly Outcome<TokenTree>[]
  readonly verifier: Verifier
  readonly target: Model
}): RoundOutcome[] {
  const { trees, verifier, target } = options
  const emitted = new Map<string, RoundOutcome>()
  for (const { value: tree, probability: grown } of trees) {
    const laws = [target([]), ...tree.tokens.map((_, node) => target(pathOf(tree, node)))]
    const targetLaw = (node: number) => laws[node + 1] ?? pointLaw(0)
    for (const { value, probability } of outcomesOf((chance) => verifier.verify({ tree, targetLaw, chance }))) {
      const tokens = [...value.path.map((node) => tree.tokens[node] ?? 0), value.token]
      const before = emitted.get(tokens.join())?.probability ?? 0
      emitted.set(tokens.join(), { tokens, probability: before + grown * probability })
    }
  }
  return [...emitted.values()]
}

/** The law of the first `length` tokens, where the target alone writes whatever one round did not emit. */
export function lawOfText(emissions: readonly RoundOutcome[], target: Model, length: number): TextLaw {
  const law: TextLaw = new Map()
  const write = (text: readonly number[], probability: number) => {
    if (text.length >= length) {
      const key = text.slice(0, length).join()
      law.set(key, (law.get(key) ?? 0) + probability)
      return
    }
    const next = target(text)
    for (const token of next.tokens) write([...text, token], probability * probabilityOf(next, token))
  }
  for (const { tokens, probability } of emissions) write(tokens, probability)
  return law
}

/** How far the text of a round, as far as its longest emission reaches, is from the target's: 0 for a lossless verifier. */
export function errorOf(emissions: readonly RoundOutcome[], target: Model): number {
  const length = emissions.reduce((most, { tokens }) => Math.max(most, tokens.length), 0)
  return distance(lawOfText(emissions, target, length), lawOfText([{ tokens: [], probability: 1 }], target, length))
}

/** The chance that a round's first token is one of the drafts. */
export function acceptanceOf(emissions: readonly RoundOutcome[]): number {
  return emissions.reduce((sum, { tokens, probability }) => sum + (tokens.length > 1 ? probability : 0), 0)
}

/** Largest difference between two laws at any key. */
export function distance<K>(one: ReadonlyMap<K, number>, other: ReadonlyMap<K, number>): number {
  let most = 0
  for (const key of new Set([...one.keys(), ...other.keys()]))
    most = Math.max(most, Math.abs((one.get(key) ?? 0) - (other.get(key) ?? 0)))
  return most
}

/** Depth first through all answers: the last question that has another answer takes it, what followed is asked anew. */
class Script implements Chance {
  readonly #answers: { readonly token: number; readonly probability: number }[][] = []
  #asked = 0
  probability = 1

  happens(probability: number): boolean {
    const yes = Math.min(1, Math.max(0, probability))
    return (
      this.#answer(() => [
        { token: 1, probability: yes },
        { token: 0, probability: 1 - yes },
      ]) === 1
    )
  }

  draw(law: Law): number {
    return this.#answer(() => [...law.tokens].map((token) => ({ token, probability: probabilityOf(law, token) })))
  }

  drawOutside(law: Law, inside: Int32Array, mass: number): number {
    const outside = [...law.tokens].filter((token) => !inside.includes(token))
    return this.#answer(() => outside.map((token) => ({ token, probability: probabilityOf(law, token) / mass })))
  }

  advance(): boolean {
    this.#asked = 0
    this.probability = 1
    for (;;) {
      const last = this.#answers.at(-1)
      if (last === undefined) return false
      last.shift()
      if (last.length > 0) return true
      this.#answers.pop()
    }
  }

  #answer(possible: () => { token: number; probability: number }[]): number {
    const answers = (this.#answers[this.#asked] ??= possible().filter(({ probability }) => probability > 0))
    this.#asked += 1
    const [first] = answers
    if (first === undefined) throw new Error('a question without a possible answer')
    this.probability *= first.probability
    return first.token
  }
}
