/**
 * From examples of many requests to a head, and how good it is on requests that it has not seen. Pure.
 *
 * Requests are split and not examples: tokens of one text are alike, so a head would be examined on what it has learned by heart.
 */
import type { LearnedHead } from '../acceptanceHeadFile.ts'
import { uniform } from '../core/sampling/noise.ts'
import {
  acceptanceChance,
  constantHead,
  type HeadExample,
  headLoss,
  trainHead,
  unweighted,
} from '../core/speculation/stopping/acceptanceHead.ts'
import { calibrationOf } from '../core/speculation/stopping/calibrationTable.ts'

export interface LearningOptions {
  /** How much more a rejection counts. */
  readonly rejectionWeight: number
  /** Of the requests, kept back to examine the head. */
  readonly heldOutShare: number
  readonly seed: number
}

/** `requests`: the examples of each. null: there are too few to learn from and to examine with. */
export function learnAcceptance(
  requests: readonly (readonly HeadExample[])[],
  { rejectionWeight, heldOutShare, seed }: LearningOptions,
): LearnedHead | null {
  const useful = requests.filter((examples) => examples.length > 0)
  // Which are kept back does not depend on the order in which they were asked: logs have one.
  const shuffled = useful
    .map((examples, number) => ({ examples, rank: uniform(seed, number) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ examples }) => examples)
  const heldOut = shuffled.slice(0, Math.ceil(heldOutShare * shuffled.length))
  const trained = shuffled.slice(heldOut.length)
  if (heldOut.length === 0 || trained.length === 0) return null
  const head = trainHead(trained.flat(), { rejectionWeight })
  return {
    weights: [...head.weights],
    trained: { requests: trained.length, examples: trained.flat().length },
    heldOut: { requests: heldOut.length, ...examined({ head, rejectionWeight }, trained.flat(), heldOut.flat()) },
  }
}

function examined(
  {
    head,
    rejectionWeight,
  }: { readonly head: { readonly weights: readonly number[] }; readonly rejectionWeight: number },
  trained: readonly HeadExample[],
  heldOut: readonly HeadExample[],
): Omit<LearnedHead['heldOut'], 'requests'> {
  const chances = unweighted(head, rejectionWeight)
  const ofHead = calibrationOf((input) => acceptanceChance(chances, input), heldOut)
  const ofDraft = calibrationOf(({ token }) => token.chance, heldOut)
  return {
    examples: heldOut.length,
    loss: headLoss(head, heldOut, rejectionWeight),
    lossOfConstant: headLoss(constantHead(trained, rejectionWeight), heldOut, rejectionWeight),
    error: ofHead.error,
    errorOfDraft: ofDraft.error,
    calibration: [...ofHead.rows],
  }
}
