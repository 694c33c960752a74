/**
 * OpenAI's answers as text: chunks of a stream and whole bodies, for chat and for text completions.
 *
 * What does not change within a request is made once; per delta only the text is turned into JSON and three strings are joined.
 * A chunk is a complete server-sent event. Holds no state of the stream: `stream.ts` does.
 */
import type { FinishReason, TokenLogprob } from '#contracts/messages.ts'
import type { UsageTotals } from '../request.ts'
import { chatLogprobs, textLogprobs } from './logprobs.ts'

export interface AnswerIdentity {
  readonly id: string
  /** Seconds since the epoch. */
  readonly created: number
  readonly model: string
  readonly fingerprint: string
}

export interface Choice {
  readonly index: number
  readonly text: string
  readonly finish: FinishReason | null
  /** Null: not asked for. */
  readonly logprobs: readonly TokenLogprob[] | null
  /** Characters of this choice before `text`. */
  readonly offset: number
}

export interface Format {
  /** First chunk of a choice; empty where the form has none. */
  opening(index: number): string
  text(choice: Choice): string
  finish(index: number, reason: FinishReason): string
  usage(usage: UsageTotals): string
  whole(choices: readonly Choice[], usage: UsageTotals): string
}

export const streamEnd = 'data: [DONE]\n\n'

export function usageBody(usage: UsageTotals) {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
    completion_tokens_details: {
      accepted_prediction_tokens: usage.acceptedTokens,
      rejected_prediction_tokens: usage.draftTokens - usage.acceptedTokens,
    },
  }
}

function head(object: string, identity: AnswerIdentity): string {
  const { id, created, model, fingerprint } = identity
  return JSON.stringify({ id, object, created, model, system_fingerprint: fingerprint }).slice(0, -1)
}

/** `usageNull`: with include_usage every chunk but the last says `"usage":null`. */
export function chatFormat(identity: AnswerIdentity, options: { usageNull: boolean }): Format {
  const chunk = `data: ${head('chat.completion.chunk', identity)},"choices":[{"index":`
  const usage = options.usageNull ? ',"usage":null' : ''
  const plainEnd = `},"logprobs":null,"finish_reason":null}]${usage}}\n\n`
  return {
    opening: (index) => `${chunk}${index},"delta":{"role":"assistant","content":"","refusal":null${plainEnd}`,
    text: ({ index, text, logprobs }) => {
      const start = `${chunk}${index},"delta":{"content":${JSON.stringify(text)}`
      if (logprobs === null) return start + plainEnd
      return `${start}},"logprobs":${JSON.stringify(chatLogprobs(logprobs))},"finish_reason":null}]${usage}}\n\n`
    },
    finish: (index, reason) => `${chunk}${index},"delta":{},"logprobs":null,"finish_reason":"${reason}"}]${usage}}\n\n`,
    usage: (totals) => usageChunk('chat.completion.chunk', identity, totals),
    whole: (choices, totals) => wholeBody('chat.completion', identity, totals, choices.map(chatChoice)),
  }
}

function chatChoice({ index, text, logprobs, finish }: Choice) {
  return {
    index,
    message: { role: 'assistant', content: text, refusal: null },
    logprobs: logprobs === null ? null : chatLogprobs(logprobs),
    finish_reason: finish,
  }
}

export function textFormat(identity: AnswerIdentity, options: { usageNull: boolean }): Format {
  const chunk = `data: ${head('text_completion', identity)},"choices":[{"index":`
  const usage = options.usageNull ? ',"usage":null' : ''
  const plainEnd = `,"logprobs":null,"finish_reason":null}]${usage}}\n\n`
  return {
    opening: () => '',
    text: ({ index, text, logprobs, offset }) => {
      const start = `${chunk}${index},"text":${JSON.stringify(text)}`
      if (logprobs === null) return start + plainEnd
      return `${start},"logprobs":${JSON.stringify(textLogprobs(logprobs, offset))},"finish_reason":null}]${usage}}\n\n`
    },
    finish: (index, reason) => `${chunk}${index},"text":"","logprobs":null,"finish_reason":"${reason}"}]${usage}}\n\n`,
    usage: (totals) => usageChunk('text_completion', identity, totals),
    whole: (choices, totals) => wholeBody('text_completion', identity, totals, choices.map(textChoice)),
  }
}

function textChoice({ index, text, logprobs, finish }: Choice) {
  return {
    index,
    text,
    logprobs: logprobs === null ? null : textLogprobs(logprobs, 0),
    finish_reason: finish,
  }
}

function usageChunk(object: string, identity: AnswerIdentity, usage: UsageTotals): string {
  return `data: ${head(object, identity)},"choices":[],"usage":${JSON.stringify(usageBody(usage))}}\n\n`
}

function wholeBody(object: string, identity: AnswerIdentity, usage: UsageTotals, choices: readonly object[]): string {
  return `${head(object, identity)},"choices":${JSON.stringify(choices)},"usage":${JSON.stringify(usageBody(usage))}}`
}
