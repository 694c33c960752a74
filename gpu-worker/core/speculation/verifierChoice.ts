/**
 * Who judges the drafts of a request, and so how they are picked: one table, by temperature.
 *
 * With a seed, the coupled verifier, always: same seed, same text. Without one, whoever gains most, as measured on a real model with a
 * real draft (`npm run bench -- verifiers`; docs/speculation.md). From `drawnFrom` on, draws judged by rejection: accepted a third more often
 * than the likeliest tokens at 0.8, three times as often at 1. Below it they are ahead by a tenth at one place and by nothing in a worker's
 * chains, which does not pay for reading laws. Recursive rejection is single-draft rejection on a chain; on trees of distinct draws, as
 * DySpec grows them, it is within 0.03 of the other verifiers at every temperature.
 */
import type { Sampling } from '#contracts/sampling.ts'
import type { Drawing } from './proposer.ts'
import type { NodeVerifier } from './verifier.ts'
import { recursiveRejection } from './verifiers/recursiveRejection.ts'

const drawnFrom = 0.7
/** Below this the likeliest token is nearly always the one that is chosen. */
const noisyFrom = 0.05

/** How drafts for such a request are to be picked; null: the likeliest tokens. `seed`: of the choice that is drafted for. */
export function drawingFor(
  { seedDrawn, temperature, topK, minP, topP }: Sampling,
  { hasGrammar, seed }: { readonly hasGrammar: boolean; readonly seed: number },
): Drawing | null {
  const processing = { temperature, topK, minP, topP }
  // The law under a grammar costs a mask of the whole row.
  if (seedDrawn && temperature >= drawnFrom && !hasGrammar) return { kind: 'own-chance', processing }
  return temperature >= noisyFrom ? { kind: 'same-noise', processing, seed } : null
}

/** Of drafts that were drawn. */
export const verifierOfDraws: NodeVerifier = recursiveRejection
