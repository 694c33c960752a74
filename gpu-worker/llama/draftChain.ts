/**
 * One sequence's draft as a chain, token after token: the likeliest ones, or draws. The stop rule says how likely each is to be taken, and
 * where a draft ends that may end early.
 */
import type { Chance } from '../core/speculation/chance.ts'
import { bestOf, type Law } from '../core/speculation/law.ts'
import type { Proposal, ProposalRequest } from '../core/speculation/proposer.ts'
import { type DraftState, type DraftToken, startOfDraft, type StopRule } from '../core/speculation/stopping/stopRule.ts'
import { chainOf, type TokenTree } from '../core/speculation/tokenTree.ts'
import type { NativeSpan } from './batch.ts'
import type { DraftPlace } from './draftCells.ts'
import type { DraftLaws } from './draftLaws.ts'
import { believedTokenOf, draftTokenOf, drawnTokenOf } from './mostLikely.ts'

export type Drafted = Pick<Proposal, 'tree' | 'confidence'>

/** A draft in the making. Whoever drives it computes what it asks for, with what others ask for in the same batch. */
export interface Drafting {
  /** Tokens to compute next, each with its row; none: it is complete. */
  next(): NativeSpan[]
  /** Their rows in order (of the first call: the row after the sequence). Valid during the call only. */
  take(rows: readonly Float32Array[]): void
  /** Gives back what it has borrowed. */
  finish(): Drafted
}

export interface DraftingOptions {
  readonly place: DraftPlace
  readonly request: ProposalRequest
  readonly laws: DraftLaws
  readonly rule: StopRule
  readonly meanings: { isEndOfGeneration(token: number): boolean }
}

/** Says of a tree how its tokens were picked, as far as its laws do not. */
export function marked(tree: TokenTree, { drawing }: ProposalRequest): TokenTree {
  return drawing?.kind === 'same-noise' ? { ...tree, knowsNoise: true } : tree
}

export class ChainDrafting implements Drafting {
  readonly #o: DraftingOptions
  readonly #lengthMax: number
  /** Of draws by chance of its own. */
  readonly #draws: { readonly chance: Chance; readonly laws: Law[] } | null
  readonly #tokens: number[] = []
  readonly #confidence: number[] = []
  #state: DraftState = startOfDraft
  #isOver = false

  constructor(options: DraftingOptions) {
    const { request, laws } = options
    this.#o = options
    this.#lengthMax = Math.min(request.tokensMax, request.depthMax)
    this.#draws = request.drawing?.kind === 'own-chance' ? { chance: laws.chanceOf(request), laws: [] } : null
  }

  next(): NativeSpan[] {
    const { place } = this.#o
    const last = this.#tokens.at(-1)
    if (this.#isOver || last === undefined || this.#tokens.length >= this.#lengthMax) return []
    place.tokens.push(last)
    return [{ slot: place.sequence, position: place.tokens.length - 1, tokens: [last], logitsForLast: 1 }]
  }

  take([row]: readonly Float32Array[]): void {
    if (row === undefined) return
    const { rule, request, meanings } = this.#o
    const { token, drafted } = this.#pick(row)
    this.#isOver = meanings.isEndOfGeneration(token)
    this.#tokens.push(token)
    this.#confidence.push(rule.chance(this.#state, drafted))
    this.#state = rule.next(this.#state, drafted)
    // After the token, never in its place: a draw that is dropped once it was seen bends the law of those that stay.
    if (request.rejectedMax !== undefined && rule.shouldStop(this.#state, request.rejectedMax)) this.#isOver = true
  }

  finish(): Drafted {
    const tree = chainOf(this.#tokens, this.#draws?.laws ?? null)
    return { tree: marked(tree, this.#o.request), confidence: this.#confidence }
  }

  #pick(row: Float32Array): { readonly token: number; readonly drafted: DraftToken } {
    const { request, laws } = this.#o
    if (request.drawing === undefined) {
      const best = laws.likeliest(row)
      return { token: best.token, drafted: draftTokenOf(best) }
    }
    const law = laws.read(row, request.drawing, request.tokens.length + this.#tokens.length)
    if (this.#draws === null) {
      const token = bestOf(law)
      return { token, drafted: believedTokenOf(law, token) }
    }
    this.#draws.laws.push(law)
    const token = this.#draws.chance.draw(law)
    return { token, drafted: drawnTokenOf(law, token) }
  }
}
