/**
 * Renders the model's own Jinja chat template into segments to tokenise.
 *
 * What a client wrote must never become a special token, or a message could end its own turn and speak as the system. So text from
 * messages that might hold the name of a special token comes back in segments of its own with `special: false`; everything else is
 * one run of text with `special: true`, tokenised exactly as the model was trained. Roles and names are printed by templates as
 * they are, so only plain words are let in.
 *
 * How text is followed through the template: see `marks.ts`. Everything here is synchronous and knows no clock but the one given.
 */
import { Template } from '@huggingface/jinja'
import { Failure } from '#contracts/failure.ts'
import type { ChatMessage } from '#contracts/messages.ts'
import { formatDate } from './date.ts'
import {
  chooseMarks,
  markContent,
  mayHoldSpecial,
  namesSpecial,
  type Segment,
  splitAtMarks,
  withoutMarks,
} from './marks.ts'

export type { Segment } from './marks.ts'

export interface ChatTemplate {
  readonly compiled: Template
  readonly source: string
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
  /** Wall clock for templates that print the date (in UTC); without it `strftime_now` is undefined, which most allow for. */
  readonly now?: () => Date
}

/** Once per model. Throws `Failure('unsupported')` where the model has no usable template. */
export function compileChatTemplate(options: ChatTemplateOptions): ChatTemplate {
  const { source, beginText, endText, now } = options
  if (source === null) {
    throw new Failure('unsupported', 'this model has no chat template; use /v1/completions with a prompt of your own')
  }
  try {
    return { compiled: new Template(prelude + source), source, beginText, endText, now }
  } catch (cause) {
    const message = `the chat template of this model cannot be read (${textOf(cause)}); use /v1/completions`
    throw new Failure('unsupported', message, { cause })
  }
}

/**
 * Segments of the prompt, in order: tokenise each with `parseSpecial: special`, the first with `addBegin: wantsBegin(…)`.
 * Throws `Failure('invalid-request')` with what the template refused.
 */
export function renderChat(template: ChatTemplate, messages: readonly ChatMessage[]): Segment[] {
  const checked = messages.map((message, index) => checkMessage(template, message, index))
  const plain = render(template, checked)
  checkNothingDropped(checked, plain)
  const suspects = checked.map((message) => mayHoldSpecial(message.content))
  if (!suspects.includes(true)) return [{ text: plain, special: true }]
  const marks = chooseMarks(checked.map((message) => message.content))
  const marked = render(
    template,
    checked.map((message, i) => (suspects[i] ? { ...message, content: markContent(message.content, marks) } : message)),
  )
  const segments = withoutMarks(marked, marks) === plain ? splitAtMarks(marked, marks) : null
  if (segments !== null) return segments
  // The template takes this content apart (reasoning blocks, for example). Its text may go through as it is where it names no
  // special token; marking it would change what the template does.
  checkNamesNoSpecial(checked)
  return [{ text: plain, special: true }]
}

/** Should the tokeniser be asked for a begin token before the first segment? Not where the template wrote it. */
export function wantsBegin(template: ChatTemplate, segments: readonly Segment[]): boolean {
  const isWritten = template.beginText !== '' && segments[0]?.text.startsWith(template.beginText) === true
  return !isWritten
}

const roleForm = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/
const nameForm = /^[\p{L}\p{N}_.@ -]{1,256}$/u
const commonRoles: ReadonlySet<string> = new Set(['system', 'user', 'assistant', 'tool'])

function checkMessage(template: ChatTemplate, message: ChatMessage, index: number): ChatMessage {
  if (!roleForm.test(message.role)) {
    const text = `messages[${index}].role must be a word of letters, digits, "-" and "_"`
    throw new Failure('invalid-request', text, { param: `messages[${index}].role` })
  }
  if (message.name !== undefined && !nameForm.test(message.name)) {
    const text = `messages[${index}].name must have letters, digits, spaces and "_.@-" only`
    throw new Failure('invalid-request', text, { param: `messages[${index}].name` })
  }
  // OpenAI's newer word for "system"; templates that do not know it would leave the message out.
  if (message.role === 'developer' && !template.source.includes('developer')) return { ...message, role: 'system' }
  return message
}

/** Templates pass over roles they do not know; the client must hear of it. */
function checkNothingDropped(messages: readonly ChatMessage[], text: string): void {
  for (const [index, { role, content }] of messages.entries()) {
    if (commonRoles.has(role) || text.includes(content.trim())) continue
    const message = `the chat template of this model leaves out messages of role "${role}"; use system, user or assistant`
    throw new Failure('invalid-request', message, { param: `messages[${index}].role` })
  }
}

function checkNamesNoSpecial(messages: readonly ChatMessage[]): void {
  for (const [index, { content }] of messages.entries()) {
    if (!namesSpecial(content)) continue
    const message = `messages[${index}].content looks like it names a special token, and this model's chat template rewrites it; remove that text`
    throw new Failure('invalid-request', message, { param: `messages[${index}].content` })
  }
}

/**
 * The library's own `raise_exception` throws what any defect throws, and its clock is the machine's: both are replaced. The empty
 * expression keeps a newline at the start of the template, which would be trimmed after a block.
 */
const prelude = "{% set raise_exception = paceline_refuse %}{% set strftime_now = paceline_date %}{{ '' }}"

function render(template: ChatTemplate, messages: readonly ChatMessage[]): string {
  const { now } = template
  const refuse = (message: unknown) => {
    throw new TemplateRefusal(String(message))
  }
  const date = now === undefined ? undefined : (form: string) => formatDate(now(), form)
  try {
    return template.compiled.render({
      messages: messages.map((message) => ({ ...message })),
      add_generation_prompt: true,
      bos_token: template.beginText,
      eos_token: template.endText,
      paceline_refuse: refuse,
      paceline_date: date,
    })
  } catch (cause) {
    if (cause instanceof TemplateRefusal) {
      const message = `the chat template of this model refuses these messages: ${cause.message}`
      throw new Failure('invalid-request', message, { param: 'messages', cause })
    }
    const message = `the chat template of this model fails on these messages (${textOf(cause)}); use /v1/completions`
    throw new Failure('unsupported', message, { cause })
  }
}

/** `raise_exception` in a template: a rule of the model that the messages break. */
class TemplateRefusal extends Error {}

function textOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).slice(0, 200)
}
