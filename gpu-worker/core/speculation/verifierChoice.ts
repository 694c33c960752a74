/**
 * Who judges the drafts of a request, and so how they are picked: one table, by seed, temperature and price, as measured on a real model with a
 * real draft (`npm run bench -- verifiers`; docs/speculation.md).
 *
 * With a seed, the coupled verifier, always: same seed, same text; a draft model then picks by the noise of the seed, which is accepted twice as
 * often as its likeliest tokens at temperature 1, and at no price. Without one the same may be done, and from `drawnFrom` on something that is
 * accepted still more often: draws judged by rejection. They take the target's law at every place, which is worth it where steps are long
 * or few sequences share them (`Verification.lawsPay`). Recursive rejection is single-draft rejection on a chain; on trees of distinct
 * draws, as DySpec grows them, it is within 0.03 of the other verifiers at every temperature.
 */
import type { Sampling } from '#contracts/sampling.ts'
import type { Drawing } from './proposer.ts'
import type { NodeVerifier } from './verifier.ts'
import { recursiveRejection } from './verifiers/recursiveRejection.ts'

const drawnFrom = 0.7
/** Below this the likeliest token is nearly always the one that is chosen. */
const noisyFrom = 0.05

export interface DrawingFacts {
  readonly hasGrammar: boolean
  /** Of the choice that is drafted for. */
  readonly seed: number
  readonly lawsPay: boolean
}

/** How drafts for such a request are to be picked; null: the likeliest tokens. */
export function drawingFor(
  { seedDrawn, temperature, topK, minP, topP }: Sampling,
  { hasGrammar, seed, lawsPay }: DrawingFacts,
): Drawing | null {
  const processing = { temperature, topK, minP, topP }
  // The law under a grammar costs a mask of the whole row.
  if (lawsPay && seedDrawn && temperature >= drawnFrom && !hasGrammar) return { kind: 'own-chance', processing }
  return temperature >= noisyFrom ? { kind: 'same-noise', processing, seed } : null
}

/** Of drafts that were drawn. */
export const verifierOfDraws: NodeVerifier = recursiveRejection
