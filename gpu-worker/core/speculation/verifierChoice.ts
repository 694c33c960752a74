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
import type { Processing } from './processedLaw.ts'
import type { NodeVerifier } from './verifier.ts'
import { recursiveRejection } from './verifiers/recursiveRejection.ts'

const drawnFrom = 0.7

/** How a draft is to be drawn for such a request; null: the likeliest tokens, for the coupled verifier. */
export function drawingFor(
  { seedDrawn, temperature, topK, minP, topP }: Sampling,
  { hasGrammar }: { readonly hasGrammar: boolean },
): Processing | null {
  // The law under a grammar costs a mask of the whole row.
  const isDrawn = seedDrawn && temperature >= drawnFrom && !hasGrammar
  return isDrawn ? { temperature, topK, minP, topP } : null
}

/** Of drafts that were drawn. */
export const verifierOfDraws: NodeVerifier = recursiveRejection
