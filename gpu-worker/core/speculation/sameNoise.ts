/**
 * What a draft believes of the token that will be chosen, where it knows the noise that it is chosen by.
 *
 * A sampled token wins a race whose times are a pure function of (seed, position, token) (`sampling/noise.ts`), so the draft can run the same
 * race with its own probabilities: where the two models nearly agree, mostly the same token wins. Drafts that are picked like this are
 * judged by the coupled verifier alone, which takes them from anywhere: the text is what it is without them, with a seed and without. It is
 * the coupling of drafter-invariant speculative decoding (arXiv 2408.07978), accepted at least (1 - d) / (1 + d) of the time, d the distance of the laws.
 *
 * The margin of the race says how sure that is. The models differ in their logits, and a score is a logit over the temperature and noise beside it:
 * so belief is exp(score · min(1, temperature)), normalised. Near zero that is the draft's own softmax; fitted on a real draft's acceptance, the
 * factor was 0.3, 0.7, 0.8 and 1 at temperatures 0.3, 0.6, 0.8 and 1.
 */
import { firstKey, raceTime, secondKey } from '../sampling/noise.ts'
import { type Law, normalised } from './law.ts'

/** The token that is drawn with these two is the one that the draft races for. */
export interface Noise {
  readonly seed: number
  readonly position: number
  readonly temperature: number
}

/** `law` as a law of beliefs: over the same tokens, the winner of the race first. */
export function believedUnder({ seed, position, temperature }: Noise, law: Law): Law {
  const trust = Math.min(1, temperature)
  const [first, second] = [firstKey(seed, position), secondKey(seed, position)]
  const scores = new Float64Array(law.tokens.length)
  let most = Number.NEGATIVE_INFINITY
  for (let i = 0; i < scores.length; i++) {
    const score = Math.log((law.weights[i] ?? 0) / raceTime(first, second, law.tokens[i] ?? 0))
    scores[i] = score
    if (score > most) most = score
  }
  for (let i = 0; i < scores.length; i++) scores[i] = Math.exp(trust * ((scores[i] ?? 0) - most))
  return normalised(law.tokens, scores)
}
