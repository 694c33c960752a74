/**
 * `POST /v1/chat/completions`: body → work. Text only: image and audio parts, tools and functions are refused by name rather than
 * ignored, because an answer that ignores them looks right and is wrong.
 */
import * as z from 'zod'
import { limits } from '#contracts/limits.ts'
import type { ChatMessage } from '#contracts/messages.ts'
import type { ModelRecord } from '#contracts/records.ts'
import { invalid, parseBody, unsupported } from './parse.ts'
import { findModel, type ParseContext, type ParsedRequest } from './route.ts'
import { checkPromptSize, samplingFields, samplingOf } from './sampling.ts'

const Part = z.object({ type: z.string(), text: z.string().optional() })

const Message = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
  content: z.union([z.string(), z.array(Part).min(1)], 'must be a string or an array of text parts').nullish(),
  name: z.string().max(256).nullish(),
  tool_calls: z.array(z.unknown()).nullish(),
})

const ChatBody = z.object({
  ...samplingFields,
  messages: z.array(Message).min(1).max(limits.request.messagesMax),
  max_completion_tokens: z.int().min(1).optional(),
  logprobs: z.boolean().optional(),
  top_logprobs: z.int().min(0).max(limits.request.topLogprobsMax).optional(),
  tools: z.array(z.unknown()).optional(),
  tool_choice: z.unknown().optional(),
  functions: z.array(z.unknown()).optional(),
  modalities: z.array(z.string()).optional(),
  audio: z.unknown().optional(),
})
type ChatBody = z.infer<typeof ChatBody>

export function parseChat(body: unknown, context: ParseContext): ParsedRequest {
  const parsed = parseBody(ChatBody, body)
  const model = findModel(context, parsed)
  if (!model.capabilities.chat)
    throw unsupported('model', `${model.deployment} has no chat template: use /v1/completions instead`)
  refuseUnsupported(parsed)
  const messages = parsed.messages.map(messageOf)
  checkPromptLength(messages, model)
  const maxTokens = parsed.max_completion_tokens ?? parsed.max_tokens ?? null
  return {
    model,
    modelName: parsed.model,
    works: [{ kind: 'chat', messages }],
    choices: parsed.n ?? 1,
    sampling: samplingOf(parsed, {
      model,
      maxTokens,
      maxTokensParam: parsed.max_completion_tokens ? 'max_completion_tokens' : 'max_tokens',
      logprobs: logprobsOf(parsed),
      seed: context.seed(),
    }),
    streaming: parsed.stream ?? false,
    includeUsage: parsed.stream_options?.include_usage ?? false,
  }
}

function refuseUnsupported(body: ChatBody): void {
  const toolsOff = body.tool_choice === 'none'
  if (body.tools && body.tools.length > 0 && !toolsOff)
    throw unsupported('tools', 'is not supported: remove it, or set tool_choice to "none"')
  if (body.functions && body.functions.length > 0) throw unsupported('functions', 'is not supported: remove it')
  if (body.tool_choice === 'required' || (typeof body.tool_choice === 'object' && body.tool_choice !== null))
    throw unsupported('tool_choice', 'asks for a tool call, which is not supported: remove it')
  if (body.modalities?.some((modality) => modality !== 'text'))
    throw unsupported('modalities', 'may only be ["text"]: remove the others')
  if (body.audio !== undefined) throw unsupported('audio', 'is not supported: remove it')
}

function messageOf(message: z.infer<typeof Message>, index: number): ChatMessage {
  if (message.tool_calls && message.tool_calls.length > 0)
    throw unsupported(`messages[${index}].tool_calls`, 'is not supported: remove it')
  const content = contentOf(message, index)
  // OpenAI renamed the system role; chat templates of open models only know the old name.
  const role = message.role === 'developer' ? 'system' : message.role
  return message.name ? { role, content, name: message.name } : { role, content }
}

function contentOf(message: z.infer<typeof Message>, index: number): string {
  const { content } = message
  if (typeof content === 'string') return content
  if (content === null || content === undefined) {
    if (message.role === 'assistant') return ''
    throw invalid(['messages', index, 'content'], content, 'must be a string or an array of text parts')
  }
  return content.map((part, i) => textOf(part, `messages[${index}].content[${i}]`)).join('\n')
}

function textOf(part: z.infer<typeof Part>, param: string): string {
  if (part.type !== 'text')
    throw unsupported(`${param}.type`, `is "${part.type.slice(0, 32)}": only "text" parts are supported`)
  if (part.text === undefined) throw invalid([`${param}.text`], undefined, 'must be a string')
  return part.text
}

function checkPromptLength(messages: readonly ChatMessage[], model: ModelRecord): void {
  const characters = messages.reduce((sum, message) => sum + message.content.length, 0)
  if (characters > model.contextTokensMax)
    checkPromptSize(messages.map((each) => each.content).join(''), model, 'messages')
}

function logprobsOf(body: ChatBody): number | null {
  const top = body.top_logprobs ?? 0
  if (top > 0 && !body.logprobs) throw invalid(['top_logprobs'], top, 'needs logprobs: true; add it or remove this')
  return body.logprobs ? top : null
}
