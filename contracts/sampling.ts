/**
 * How a request wants its tokens chosen. Field names and defaults are OpenAI's, extended by the names vLLM uses.
 *
 * Order of work at each position, fixed and documented because it defines the distribution that speculation must keep:
 * logit_bias → penalties → temperature → top_k → min_p → top_p → grammar → one draw with noise(seed, position, token). The grammar
 * conditions the truncated law (where it allows nothing of that, it is applied before truncation), because a full mask costs 6 ms.
 * `temperature: 0` is greedy: no noise, ties go to the lower token id.
 */
import * as z from 'zod'
import { limits } from './limits.ts'

export const ResponseFormat = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  /** Parsed, depth-checked JSON schema; the worker turns it into a grammar. */
  z.object({ type: z.literal('json_schema'), schema: z.unknown() }),
])
export type ResponseFormat = z.infer<typeof ResponseFormat>

export const Sampling = z.object({
  temperature: z.number().min(0).max(2),
  topP: z.number().gt(0).max(1),
  /** 0 switches it off. */
  topK: z.int().min(0),
  minP: z.number().min(0).max(1),
  presencePenalty: z.number().min(-2).max(2),
  frequencyPenalty: z.number().min(-2).max(2),
  /** Multiplicative, 1 switches it off (vLLM's `repetition_penalty`). Bounded below: a tiny one makes every logit infinite. */
  repetitionPenalty: z.number().min(0.01).max(10),
  /** Token id → added to its logit, -100 … 100. */
  logitBias: z.array(z.tuple([z.int().nonnegative(), z.number().min(-100).max(100)])).max(limits.request.logitBiasMax),
  /** The router draws one where the client gives none, so that a retry or resume elsewhere continues the same text. */
  seed: z.int().min(0).max(0xff_ff_ff_ff),
  /**
   * The client named none: nobody can ask for this text again, so speculation may judge drafts by any rule that keeps the law, and a
   * retry elsewhere may write another text of it. Else the text is a function of the seed, whatever is drafted.
   */
  seedDrawn: z.boolean().default(false),
  stop: z.array(z.string().min(1).max(limits.request.stopCharactersMax)).max(limits.request.stopsMax),
  /** Tokens to generate at most; null = up to the context's end, bounded by `limits.request.tokensDefault`. */
  maxTokens: z.int().min(1).nullable(),
  /** End-of-generation tokens are impossible before this many. */
  minTokens: z.int().min(0),
  ignoreEos: z.boolean(),
  /** Alternatives reported per token; null = no logprobs at all. */
  logprobs: z.int().min(0).max(limits.request.topLogprobsMax).nullable(),
  responseFormat: ResponseFormat,
})
export type Sampling = z.infer<typeof Sampling>

/** What a deployment may choose for requests that do not say it. */
export const ChosenDefaults = Sampling.pick({
  temperature: true,
  topP: true,
  topK: true,
  minP: true,
  presencePenalty: true,
  frequencyPenalty: true,
  repetitionPenalty: true,
}).partial()
export type ChosenDefaults = z.infer<typeof ChosenDefaults>

/** OpenAI's, where neither the request nor its deployment says otherwise. */
export const samplingDefaults: Omit<Sampling, 'seed'> = {
  temperature: 1,
  topP: 1,
  topK: 0,
  minP: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  seedDrawn: false,
  logitBias: [],
  stop: [],
  maxTokens: null,
  minTokens: 0,
  ignoreEos: false,
  logprobs: null,
  responseFormat: { type: 'text' },
}
