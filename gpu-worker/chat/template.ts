/**
 * Renders the model's own Jinja chat template into segments to tokenise.
 *
 * What a client wrote must never become a special token: text that comes from messages is returned in segments of its own with
 * `special: false`, and only what the template itself wrote has `special: true`.
 */
import { Template } from '@huggingface/jinja'
import { Failure } from '#contracts/failure.ts'
import type { ChatMessage } from '#contracts/messages.ts'

/** Tokenise with `{ parseSpecial: special, addBegin: false }`, in order, and concatenate (the template writes the begin token). */
export interface Segment {
  readonly text: string
  readonly special: boolean
}

export interface ChatTemplate {
  readonly compiled: Template
  readonly beginText: string
  readonly endText: string
  readonly now: (() => Date) | undefined
}

export interface ChatTemplateOptions {
  /** `RunnerInfo.chatTemplate`. */
  readonly source: string | null
  /** `specialText(beginToken)`, '' where the model has none. */
  readonly beginText: string
  readonly endText: string
  /** Wall clock for templates that print the date; without it `strftime_now` is undefined, which templates allow for. */
  readonly now?: () => Date
}

/** Once per model. Throws `Failure('unsupported')` where the model has no usable template. */
export function compileChatTemplate(options: ChatTemplateOptions): ChatTemplate {
  if (options.source === null) throw new Failure('unsupported', 'this model has no chat template; use /v1/completions')
  return {
    compiled: new Template(options.source),
    beginText: options.beginText,
    endText: options.endText,
    now: options.now,
  }
}

/** Throws `Failure('invalid-request')` with what the template refused. */
export function renderChat(template: ChatTemplate, messages: readonly ChatMessage[]): Segment[] {
  const text = template.compiled.render({
    messages: messages.map((message) => ({ ...message })),
    add_generation_prompt: true,
    bos_token: template.beginText,
    eos_token: template.endText,
  })
  return [{ text, special: true }]
}
