/**
 * Who judges the drafts of a request, and so how they are picked: one table, by temperature.
 *
 * With a seed, the coupled verifier, always: same seed, same text. Without one, whoever accepts most, as measured on a real model with a
 * real draft (`npm run bench -- verifiers`; docs/speculation.md): draws judged by rejection are ahead of the likeliest tokens at every
 * temperature, by a tenth at 0.3, three times at 1. Recursive rejection is single-draft rejection on a chain, and on trees of distinct draws
 * within 0.03 of the best verifier there is for them at every temperature. Below `drawnFrom` both laws are nearly points: draws are the
 * likeliest tokens, and reading the law of a row would be for nothing.
 */
import type { Sampling } from '#contracts/sampling.ts'
import type { Processing } from './processedLaw.ts'
import type { NodeVerifier } from './verifier.ts'
import { recursiveRejection } from './verifiers/recursiveRejection.ts'

const drawnFrom = 0.15

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
