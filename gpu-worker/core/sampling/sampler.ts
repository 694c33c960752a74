/**
 * Chooses one token from one row of logits.
 *
 * A sampler belongs to one sequence and holds what its penalties need (which tokens it has seen) and nothing else: the noise is a
 * pure function of (seed, position, token), so the same row at the same position always gives the same token.
 */
import type { Sampling } from '#contracts/sampling.ts'
import type { GrammarMatcher } from '../../modelRunner.ts'

export interface SamplerOptions {
  /** `seed` already shifted for the choice: choice i of a request uses (seed + i) mod 2^32. */
  readonly sampling: Sampling
  readonly vocabularySize: number
  /** Every end-of-generation token of the model: impossible while `minTokens` or `ignoreEos` forbid them. */
  readonly endTokens: readonly number[]
  /** Needed for `repetitionPenalty` only. */
  readonly prompt: readonly number[]
  /** Tokens that were generated before this sampler existed (a resume or a preempted sequence). */
  readonly generated?: readonly number[]
}

export interface SampleRequest {
  /** One row; changed in place. */
  readonly logits: Float32Array
  /** Absolute position of the token to choose: how many tokens the sequence holds before it. */
  readonly position: number
  /** In the state before the token to choose. The sampler asks it but never advances it: the caller does, with `accept`. */
  readonly grammar?: GrammarMatcher
}

export interface TokenAndLogprob {
  readonly token: number
  /** Natural logarithm of the model's own probability: before bias, penalties, temperature and truncation. */
  readonly logprob: number
}

export interface Sampled {
  readonly token: number
  /** Only where `sampling.logprobs` is not null. `top` has `sampling.logprobs` entries, most probable first. */
  readonly logprobs?: { readonly logprob: number; readonly top: readonly TokenAndLogprob[] }
}

export interface Sampler {
  /** Throws `Failure('engine-fault')` where the row holds NaN or nothing finite. Changes no state. */
  sample(request: SampleRequest): Sampled
  /** The token was kept: it counts for penalties and `minTokens` from now on. */
  accept(token: number): void
  /** Tokens generated so far, those of `generated` included. */
  readonly generatedCount: number
}

export function createSampler(options: SamplerOptions): Sampler {
  let generatedCount = options.generated?.length ?? 0
  return {
    sample({ logits }) {
      let best = 0
      for (let i = 1; i < logits.length; i++) if ((logits[i] ?? 0) > (logits[best] ?? 0)) best = i
      return { token: best }
    },
    accept() {
      generatedCount += 1
    },
    get generatedCount() {
      return generatedCount
    },
  }
}
