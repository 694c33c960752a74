/**
 * Chooses one token from one row of logits.
 *
 * A sampler belongs to one sequence and holds what its penalties need (which tokens it has seen) and nothing else: the noise is a
 * pure function of (seed, position, token), so the same row at the same position always gives the same token.
 *
 * The law. logit_bias → penalties → end tokens masked → temperature → top_k → min_p → top_p → grammar → one draw. The truncated
 * law is conditioned on the grammar; where the grammar allows nothing of it, the grammar is applied first and truncation after.
 * Why a refused winner may simply be taken out and the next one asked (`chooseWithGrammar`): noise belongs to tokens
 * (`noise.ts`), so the first allowed token in the order of the race is the winner of the race among the allowed ones, which has
 * exactly the conditional law. A full mask (6 ms) is needed only after `refusalsMax` refusals, and draws from the same law.
 */
import type { Sampling } from '#contracts/sampling.ts'
import type { GrammarMatcher } from '../../modelRunner.ts'
import { Choice } from './choice.ts'
import { Logprobs, type TokenAndLogprob } from './logprobs.ts'
import { Penalties } from './penalties.ts'

export type { TokenAndLogprob } from './logprobs.ts'

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
  /**
   * Asked instead of the noise, of the row as the draw would see it: a verifier that judges drafts by the law of that row. null: the
   * noise after all. Never asked where there is a grammar, whose law would cost a mask.
   */
  readonly judge?: Judge
}

/** Must leave the row as it is. */
export type Judge = (logits: Float32Array) => number | null

export interface Sampled {
  readonly token: number
  /** Only where `sampling.logprobs` is not null. `top` has `sampling.logprobs` entries, most probable first. */
  readonly logprobs?: { readonly logprob: number; readonly top: readonly TokenAndLogprob[] }
}

export interface Sampler {
  /** Throws `Failure('engine-fault')` where the row holds NaN or no token is possible. Changes no state of the sequence. */
  sample(request: SampleRequest): Sampled
  /** The token was kept: it counts for penalties and `minTokens` from now on. */
  accept(token: number): void
  /** Tokens generated so far, those of `generated` included. */
  readonly generatedCount: number
}

export function createSampler(options: SamplerOptions): Sampler {
  const { sampling, vocabularySize, endTokens } = options
  const penalties = new Penalties(sampling, options.prompt)
  const choice = new Choice({ sampling, vocabularySize, endTokens })
  const logprobs = sampling.logprobs === null ? null : new Logprobs(vocabularySize, sampling.logprobs)
  let generatedCount = 0
  const accept = (token: number) => {
    generatedCount += 1
    penalties.accept(token)
  }
  for (const token of options.generated ?? []) accept(token)
  return {
    sample({ logits, position, grammar, judge }) {
      logprobs?.read(logits)
      penalties.apply(logits)
      if (sampling.ignoreEos || generatedCount < sampling.minTokens) {
        for (const token of endTokens) logits[token] = Number.NEGATIVE_INFINITY
      }
      const judged = grammar === undefined && judge !== undefined ? judge(logits) : null
      const token = judged ?? choice.draw({ logits, position, grammar })
      return logprobs === null ? { token } : { token, logprobs: logprobs.of(token) }
    },
    accept,
    get generatedCount() {
      return generatedCount
    },
  }
}
