/**
 * The request bodies of the OpenAI surface as a client knows them: what the fuzzer starts from.
 *
 * Written from the public interface, not taken from the router: a field that the router forgot is sent to it all the same.
 */
import * as z from 'zod'

const ResponseFormat = z.union([
  z.object({ type: z.enum(['text', 'json_object']) }),
  z.object({
    type: z.literal('json_schema'),
    json_schema: z.object({
      name: z.string(),
      strict: z.boolean().optional(),
      schema: z.record(z.string(), z.unknown()),
    }),
  }),
])

const sampling = {
  model: z.string(),
  max_tokens: z.int().min(1).max(8),
  temperature: z.number().min(0).max(2),
  top_p: z.number().min(0).max(1),
  top_k: z.int().min(-1).max(100),
  min_p: z.number().min(0).max(1),
  presence_penalty: z.number().min(-2).max(2),
  frequency_penalty: z.number().min(-2).max(2),
  repetition_penalty: z.number().min(0).max(2),
  logit_bias: z.record(z.string(), z.number()),
  seed: z.int(),
  stop: z.union([z.string(), z.array(z.string())]),
  n: z.int().min(1).max(2),
  stream: z.boolean(),
  stream_options: z.object({ include_usage: z.boolean() }),
  min_tokens: z.int().min(0).max(4),
  ignore_eos: z.boolean(),
  user: z.string(),
}

const Content = z.union([
  z.string(),
  z.null(),
  z.array(z.object({ type: z.enum(['text', 'image_url', 'input_audio']), text: z.string() })),
])
const Message = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function', 'nobody']),
  content: Content,
  name: z.string(),
  tool_calls: z.array(z.unknown()),
})

export const ChatBody = z.object({
  ...sampling,
  messages: z.array(Message),
  max_completion_tokens: z.int().min(1).max(8),
  logprobs: z.boolean(),
  top_logprobs: z.int().min(0).max(20),
  response_format: ResponseFormat,
  tools: z.array(z.unknown()),
  tool_choice: z.union([z.string(), z.record(z.string(), z.unknown())]),
  functions: z.array(z.unknown()),
  modalities: z.array(z.string()),
  audio: z.unknown(),
  metadata: z.record(z.string(), z.string()),
  store: z.boolean(),
  reasoning_effort: z.string(),
  service_tier: z.string(),
})

const Prompt = z.union([z.string(), z.array(z.string()), z.array(z.int()), z.array(z.array(z.int()))])

export const CompletionBody = z.object({
  ...sampling,
  prompt: Prompt,
  logprobs: z.int().min(0).max(20),
  echo: z.boolean(),
  best_of: z.int().min(1).max(3),
  suffix: z.string(),
})

export const EmbeddingBody = z.object({
  model: z.string(),
  input: Prompt,
  encoding_format: z.enum(['float', 'base64']),
  dimensions: z.int(),
  user: z.string(),
})
