/**
 * The fields that chat and text completions share: OpenAI's names and ranges, plus vLLM's (`top_k`, `min_p`, …). Fields that are not listed are ignored, as OpenAI's own clients expect of older servers.
 */
import * as z from 'zod'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelRecord } from '#contracts/records.ts'
import { type Sampling, samplingDefaults } from '#contracts/sampling.ts'
import { depthOf } from '../core/jsonDepth.ts'
import { invalid, unsupported } from './parse.ts'

const { request } = limits
const stop = z.string().min(1).max(request.stopCharactersMax)

const JsonSchemaFormat = z.object({
  type: z.literal('json_schema'),
  json_schema: z.object({
    name: z.string().nullish(),
    strict: z.boolean().nullish(),
    schema: z.record(z.string(), z.unknown(), 'must be a JSON schema (an object)'),
  }),
})

/** What may keep the requests of one client together (`core/sessionKey.ts`). */
export const sessionFields = { user: z.string().optional(), prompt_cache_key: z.string().optional() }

export const samplingFields = {
  model: z.string().min(1).max(256),
  max_tokens: z.int().min(1).optional(),
  temperature: z.number().min(0).max(2).optional(),
  top_p: z.number().gt(0).max(1).optional(),
  top_k: z.int().min(-1).optional(),
  min_p: z.number().min(0).max(1).optional(),
  presence_penalty: z.number().min(-2).max(2).optional(),
  frequency_penalty: z.number().min(-2).max(2).optional(),
  repetition_penalty: z.number().min(0.01).max(10).optional(),
  logit_bias: z.record(z.string(), z.unknown(), 'must be an object of token id → bias').optional(),
  seed: z.int().optional(),
  stop: z.union([stop, z.array(stop).max(request.stopsMax)], 'must be a string or an array of strings').optional(),
  n: z.int().min(1).max(request.choicesMax).optional(),
  min_tokens: z.int().min(0).optional(),
  ignore_eos: z.boolean().optional(),
  stream: z.boolean().optional(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).optional(),
  response_format: z
    .discriminatedUnion(
      'type',
      [z.object({ type: z.literal('text') }), z.object({ type: z.literal('json_object') }), JsonSchemaFormat],
      { error: 'must be an object with type "text", "json_object" or "json_schema"' },
    )
    .optional(),
  ...sessionFields,
}

const SamplingFields = z.object(samplingFields)
export type SamplingFields = z.infer<typeof SamplingFields>

/** `logprobs` and the default of `maxTokens` differ between the endpoints. */
export function samplingOf(
  body: SamplingFields,
  own: { model: ModelRecord; maxTokens: number | null; maxTokensParam: string; logprobs: number | null; seed: number },
): Sampling {
  const { model, maxTokens } = own
  if (maxTokens !== null && maxTokens > model.contextTokensMax)
    throw tooManyTokens(own.maxTokensParam, maxTokens, model)
  if ((body.min_tokens ?? 0) > model.contextTokensMax) throw tooManyTokens('min_tokens', body.min_tokens ?? 0, model)
  const stops = body.stop ?? []
  const chosen = model.sampling ?? {}
  return {
    temperature: body.temperature ?? chosen.temperature ?? samplingDefaults.temperature,
    topP: body.top_p ?? chosen.topP ?? samplingDefaults.topP,
    topK: Math.max(0, body.top_k ?? chosen.topK ?? samplingDefaults.topK),
    minP: body.min_p ?? chosen.minP ?? samplingDefaults.minP,
    presencePenalty: body.presence_penalty ?? chosen.presencePenalty ?? samplingDefaults.presencePenalty,
    frequencyPenalty: body.frequency_penalty ?? chosen.frequencyPenalty ?? samplingDefaults.frequencyPenalty,
    repetitionPenalty: body.repetition_penalty ?? chosen.repetitionPenalty ?? samplingDefaults.repetitionPenalty,
    logitBias: body.logit_bias ? logitBiasOf(body.logit_bias) : samplingDefaults.logitBias,
    // OpenAI's seed is 64 bits wide and may be negative; ours has 32.
    seed: body.seed === undefined ? own.seed : body.seed >>> 0,
    seedDrawn: body.seed === undefined,
    stop: typeof stops === 'string' ? [stops] : stops,
    maxTokens,
    minTokens: body.min_tokens ?? samplingDefaults.minTokens,
    ignoreEos: body.ignore_eos ?? samplingDefaults.ignoreEos,
    logprobs: own.logprobs,
    responseFormat: body.response_format
      ? responseFormatOf(body.response_format, model)
      : samplingDefaults.responseFormat,
  }
}

function tooManyTokens(param: string, given: number, model: ModelRecord): Failure {
  const message = `'${param}' is ${given}, but the context of ${model.deployment} is ${model.contextTokensMax} tokens, prompt included: ask for fewer`
  return new Failure('context-exceeded', message, { param })
}

/** Certain to be over the context whatever the tokenizer: refused here, so that nobody has to tokenise it. */
export function checkPromptSize(prompt: string | readonly number[], model: ModelRecord, param: string): void {
  const perToken = typeof prompt === 'string' ? request.charactersPerTokenMax : 1
  if (prompt.length <= model.contextTokensMax * perToken) return
  const unit = typeof prompt === 'string' ? 'characters' : 'tokens'
  const message = `'${param}' has ${prompt.length} ${unit}, which cannot fit the context of ${model.deployment} (${model.contextTokensMax} tokens): shorten it`
  throw new Failure('context-exceeded', message, { param })
}

function logitBiasOf(bias: Readonly<Record<string, unknown>>): Sampling['logitBias'] {
  const entries = Object.entries(bias)
  if (entries.length > request.logitBiasMax)
    throw invalid(['logit_bias'], bias, `must have at most ${request.logitBiasMax} entries`)
  return entries.map(([key, value]) => {
    if (!/^\d{1,9}$/.test(key)) throw invalid(['logit_bias'], key, 'each name must be a token id (digits)')
    if (typeof value !== 'number' || value < -100 || value > 100)
      throw invalid(['logit_bias', key], value, 'must be a number from -100 to 100')
    return [Number(key), value]
  })
}

function responseFormatOf(
  format: NonNullable<SamplingFields['response_format']>,
  model: ModelRecord,
): Sampling['responseFormat'] {
  if (format.type === 'text') return { type: 'text' }
  if (!model.capabilities.grammar)
    throw unsupported(
      'response_format',
      `cannot be "${format.type}": ${model.deployment} has no grammar support; remove it`,
    )
  if (format.type === 'json_object') return { type: 'json_object' }
  const { schema } = format.json_schema
  const path = ['response_format', 'json_schema', 'schema']
  if (depthOf(schema, request.schemaDepthMax) > request.schemaDepthMax)
    throw invalid(path, schema, `nests deeper than ${request.schemaDepthMax} levels; flatten it`)
  const bytes = Buffer.byteLength(JSON.stringify(schema))
  if (bytes > request.schemaBytesMax)
    throw invalid(
      path,
      schema,
      `has ${bytes} bytes, but at most ${request.schemaBytesMax} are allowed; make it smaller`,
    )
  return { type: 'json_schema', schema }
}
