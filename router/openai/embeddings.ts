/**
 * `POST /v1/embeddings`: body → work, vectors → body. Vectors come back as numbers or, as OpenAI's own clients ask, as the base64 of
 * little-endian 32-bit floats.
 */
import * as z from 'zod'
import { limits } from '#contracts/limits.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import type { UsageTotals } from '../request.ts'
import { Prompt, promptsOf } from './completions.ts'
import { invalid, parseBody, unsupported } from './parse.ts'
import { findModel, type ParseContext, type ParsedRequest } from './route.ts'
import { checkPromptSize, sessionFields } from './sampling.ts'

const EmbeddingBody = z.object({
  model: z.string().min(1).max(256),
  input: Prompt,
  encoding_format: z.enum(['float', 'base64']).optional(),
  dimensions: z.unknown().optional(),
  ...sessionFields,
})

export interface ParsedEmbedding extends ParsedRequest {
  readonly encoding: 'float' | 'base64'
}

export function parseEmbedding(body: unknown, context: ParseContext): ParsedEmbedding {
  const parsed = parseBody(EmbeddingBody, body)
  const model = findModel(context, parsed)
  if (!model.capabilities.embeddings)
    throw unsupported('model', `${model.deployment} gives no embeddings: set engine.embeddings in its ModelDeployment`)
  if (parsed.dimensions !== undefined)
    throw unsupported('dimensions', 'is not supported: vectors have the length the model gives; remove it')
  const inputs = promptsOf(parsed.input)
  const { embeddingInputsMax } = limits.request
  if (inputs.length > embeddingInputsMax)
    throw invalid(['input'], parsed.input, `must have at most ${embeddingInputsMax} inputs; send several requests`)
  inputs.forEach((input, i) => {
    if (input.length === 0) throw invalid(inputs.length === 1 ? ['input'] : ['input', i], input, 'must not be empty')
    checkPromptSize(input, model, inputs.length === 1 ? 'input' : `input[${i}]`)
  })
  return {
    model,
    modelName: parsed.model,
    works: [{ kind: 'embedding', inputs }],
    choices: 1,
    sampling: { ...samplingDefaults, seed: 0 },
    streaming: false,
    includeUsage: false,
    encoding: parsed.encoding_format ?? 'float',
  }
}

export function embeddingBody(
  vectors: readonly (readonly number[])[],
  usage: UsageTotals,
  options: { modelName: string; encoding: 'float' | 'base64' },
): string {
  return JSON.stringify({
    object: 'list',
    data: vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: options.encoding === 'float' ? vector : base64Of(vector),
    })),
    model: options.modelName,
    usage: { prompt_tokens: usage.promptTokens, total_tokens: usage.promptTokens },
  })
}

function base64Of(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4)
  vector.forEach((value, i) => bytes.writeFloatLE(value, i * 4))
  return bytes.toString('base64')
}
