/**
 * When to stop drafting: one question after each draft token, answered from draft-side data only (else the verifier would no longer be
 * lossless). Three answers: a threshold over acceptance that a trained head predicts (SpecDec++, arXiv 2405.19715), the same
 * over the proposer's own confidence, and the product of draft probabilities against what a batch of that length costs (as in
 * llama.cpp's pull request 17034).
 */
import { type AcceptanceHeads, acceptanceChance } from './acceptanceHead.ts'

/** What the draft knew when it chose a token. */
export interface DraftToken {
  /** Of the token it chose: its probability in the draft, or the proposer's confidence. */
  readonly chance: number
  /** The rest of the draft's law in three figures; absent where a proposer has no law. */
  readonly law?: { readonly chanceMax: number; readonly entropy: number; readonly margin: number }
  /** It was drawn from that law, to be judged by rejection; else it is taken where the target chooses the same. */
  readonly isDrawn?: boolean
}

export interface DraftState {
  /** Tokens drafted so far. */
  readonly length: number
  /** The predicted chance that the target takes all of them. */
  readonly allTaken: number
  /** Product of the draft's own probabilities. */
  readonly product: number
}

export const startOfDraft: DraftState = { length: 0, allTaken: 1, product: 1 }

export interface StopRule {
  /** How likely the target takes this token once it took all before it. */
  chance(state: DraftState, token: DraftToken): number
  /** The state after one more draft token. */
  next(state: DraftState, token: DraftToken): DraftState
  /** `rejectedMax`: stops once the chance that one of the tokens is rejected is over this; absent: as the rule was made. */
  shouldStop(state: DraftState, rejectedMax?: number): boolean
}

export interface ThresholdOptions {
  /** Stops once the chance that one of the tokens is rejected is over this. */
  readonly rejectedMax?: number
  readonly lengthMin?: number
  readonly lengthMax?: number
}

/**
 * The best threshold (theorem of SpecDec++): stopping wastes a target call where all would have been taken, going on wastes a
 * draft token where one was rejected already.
 */
export function bestThreshold(costs: {
  readonly draftToken: number
  readonly targetCall: number
  readonly delta?: number
}): number {
  const stopping = costs.targetCall + (costs.delta ?? 0)
  return stopping / (costs.draftToken + stopping)
}

/** By the acceptance that trained heads predict; of a kind of token that has no head, by the draft's own confidence. */
export function headRule(heads: AcceptanceHeads, options: ThresholdOptions = {}): StopRule {
  return thresholdRule(options, (state, token) => {
    const head = token.isDrawn === true ? heads.drawn : heads.best
    if (head === null) return token.chance
    return acceptanceChance(head, { position: state.length + 1, product: state.product * token.chance, token })
  })
}

/** By the proposer's own confidence. */
export function confidenceRule(options: ThresholdOptions = {}): StopRule {
  return thresholdRule({ lengthMin: 0, ...options }, (_state, token) => token.chance)
}

/** By any prediction of acceptance. */
export function thresholdRule(
  { rejectedMax = 0.7, lengthMin = 2, lengthMax = 20 }: ThresholdOptions,
  predict: (state: DraftState, token: DraftToken) => number,
): StopRule {
  return {
    chance: predict,
    next: (state, token) => ({
      length: state.length + 1,
      allTaken: state.allTaken * predict(state, token),
      product: state.product * token.chance,
    }),
    shouldStop: ({ length, allTaken }, most = rejectedMax) =>
      length >= lengthMax || (length >= lengthMin && 1 - allTaken > most),
  }
}

/**
 * Without a trained model: a draft pays as long as the product of its probabilities exceeds what a token of a batch of that length
 * costs, relative to a step. `stepMs(rows)` is the measured curve.
 */
export function batchCostRule(options: {
  readonly stepMs: (rows: number) => number
  readonly lengthMax?: number
}): StopRule {
  const { stepMs, lengthMax = 20 } = options
  const relativeCost = (length: number) => (stepMs(1 + length) - stepMs(1)) / (length * stepMs(1))
  return {
    chance: (_state, { chance }) => chance,
    next: (state, { chance }) => ({
      length: state.length + 1,
      allTaken: state.allTaken * chance,
      product: state.product * chance,
    }),
    shouldStop: ({ length, product }) => length >= lengthMax || (length > 0 && product <= relativeCost(length)),
  }
}
