/**
 * `POST /v1/completions`: body → work. Several prompts become several dispatches; the answer's index is prompt × n + sample.
 */
import * as z from 'zod'
import { limits } from '#contracts/limits.ts'
import { invalid, parseBody, unsupported } from './parse.ts'
import { findModel, type ParseContext, type ParsedRequest } from './route.ts'
import { checkPromptSize, samplingFields, samplingOf } from './sampling.ts'

const token = z.int().min(0).max(0x7f_ff_ff_ff)

/** A text, several texts, tokens, or several token lists. */
export const promptForms = 'must be a string, an array of strings, an array of token ids, or an array of those'
export const Prompt = z.union(
  [z.string(), z.array(z.string()).min(1), z.array(token).min(1), z.array(z.array(token).min(1)).min(1)],
  promptForms,
)

const CompletionBody = z.object({
  ...samplingFields,
  prompt: Prompt,
  logprobs: z.int().min(0).max(limits.request.topLogprobsMax).optional(),
  echo: z.boolean().optional(),
  best_of: z.int().min(1).optional(),
  suffix: z.string().optional(),
})

/** OpenAI's default for this endpoint; chat has none. */
const maxTokensDefault = 16

export function parseCompletion(body: unknown, context: ParseContext): ParsedRequest {
  const parsed = parseBody(CompletionBody, body)
  const model = findModel(context, parsed)
  const choices = parsed.n ?? 1
  if (!model.capabilities.completions) throw unsupported('model', `${model.deployment} only gives embeddings`)
  if (parsed.suffix) throw unsupported('suffix', 'is not supported: remove it')
  if ((parsed.best_of ?? choices) !== choices) throw unsupported('best_of', `may only equal n (${choices}): remove it`)
  const prompts = promptsOf(parsed.prompt)
  if (prompts.length > limits.request.promptsMax)
    throw invalid(
      ['prompt'],
      parsed.prompt,
      `must have at most ${limits.request.promptsMax} prompts; send several requests`,
    )
  for (const prompt of prompts) checkPromptSize(prompt, model, 'prompt')
  return {
    model,
    modelName: parsed.model,
    works: prompts.map((prompt) => ({ kind: 'completion', prompt, echo: parsed.echo ?? false })),
    choices,
    sampling: samplingOf(parsed, {
      model,
      maxTokens: parsed.max_tokens ?? maxTokensDefault,
      maxTokensParam: 'max_tokens',
      logprobs: parsed.logprobs ?? null,
      seed: context.seed(),
    }),
    streaming: parsed.stream ?? false,
    includeUsage: parsed.stream_options?.include_usage ?? false,
  }
}

export function promptsOf(prompt: z.infer<typeof Prompt>): (string | number[])[] {
  if (typeof prompt === 'string') return [prompt]
  const tokens = prompt.filter((item) => typeof item === 'number')
  if (tokens.length > 0) return [tokens]
  return prompt.filter((item) => typeof item !== 'number')
}
