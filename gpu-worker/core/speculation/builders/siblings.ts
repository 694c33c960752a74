/**
 * The children of one node, one after the other, without replacement: drawn (then every verifier may judge them) or simply the best
 * (then only one that needs nothing).
 */
import type { Chance } from '../chance.ts'
import { bestOf, type Law, probabilityOf, without } from '../law.ts'

/** How tokens are picked: a `Chance` draws them, `best` takes the most probable one, ties to the lower id. */
export type Picking = Chance | 'best'

export interface Sibling {
  readonly token: number
  /** The law it was drawn from: q without the siblings before it, renormalised. */
  readonly law: Law
  /** Its probability in that law: DySpec's estimate that it is accepted once the siblings before it were rejected. */
  readonly share: number
}

export class Siblings {
  readonly #picking: Picking
  #left: Law | null

  constructor(law: Law, picking: Picking) {
    this.#left = law
    this.#picking = picking
  }

  /** null where the law has no further token. */
  next(): Sibling | null {
    const law = this.#left
    if (law === null) return null
    const token = this.#picking === 'best' ? bestOf(law) : this.#picking.draw(law)
    this.#left = without(law, token)
    return { token, law, share: probabilityOf(law, token) }
  }

  get isExhausted(): boolean {
    return this.#left === null
  }
}
