/**
 * Server-sent events, split into frames as they arrive and parsed only afterwards.
 *
 * `SseSplitter` keeps every frame with its arrival; a frame may be cut anywhere between two reads. Works on latin1 text while
 * splitting (one character per byte, no decoding cost) and decodes UTF-8 only when a frame is parsed.
 */
import * as z from 'zod'

export interface Frame {
  /** The bytes after `data: `, as latin1. */
  readonly data: string
  readonly at: number
}

export class SseSplitter {
  readonly frames: Frame[] = []
  #rest = ''

  /** The frames that `chunk` completes. */
  add(chunk: Buffer, at: number): Frame[] {
    const text = this.#rest + chunk.toString('latin1')
    const complete: Frame[] = []
    let start = 0
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n', start)) {
      if (text.startsWith('data: ', start)) complete.push({ data: text.slice(start + 6, end), at })
      start = end + 2
    }
    this.#rest = text.slice(start)
    this.frames.push(...complete)
    return complete
  }
}

/** Does this frame carry text? Looks for a non-empty `content` or `text` field without parsing. */
export function isContentFrame(data: string): boolean {
  return hasValue(data, '"content":"') || hasValue(data, '"text":"')
}

function hasValue(data: string, field: string): boolean {
  const at = data.indexOf(field)
  return at >= 0 && data.charCodeAt(at + field.length) !== 0x22
}

const Usage = z.object({
  prompt_tokens: z.number(),
  completion_tokens: z.number().default(0),
  prompt_tokens_details: z.object({ cached_tokens: z.number().nullish() }).nullish(),
})

const Choice = z.object({
  index: z.number().default(0),
  delta: z.object({ content: z.string().nullish() }).optional(),
  message: z.object({ content: z.string().nullish() }).optional(),
  text: z.string().optional(),
  finish_reason: z.string().nullish(),
})

const Body = z.object({ choices: z.array(Choice).default([]), usage: Usage.nullish() })

export interface Content {
  readonly text: string
  readonly finish: string | null
  readonly promptTokens: number
  readonly completionTokens: number
  readonly cachedTokens: number
}

/** What an answer said, whether it came as a stream or as one body. Counts 0 where the server reported none. */
export function contentOf(answer: { readonly frames: readonly Frame[]; readonly body: string }): Content {
  const bodies =
    answer.frames.length > 0
      ? answer.frames
          .filter((frame) => frame.data.startsWith('{'))
          .map((frame) => Buffer.from(frame.data, 'latin1').toString('utf8'))
      : [answer.body]
  let text = ''
  let finish: string | null = null
  let usage: z.infer<typeof Usage> | null = null
  for (const body of bodies) {
    const parsed = Body.safeParse(JSON.parse(body))
    if (!parsed.success) continue
    for (const choice of parsed.data.choices) {
      if (choice.index !== 0) continue
      text += choice.delta?.content ?? choice.message?.content ?? choice.text ?? ''
      finish = choice.finish_reason ?? finish
    }
    usage = parsed.data.usage ?? usage
  }
  return {
    text,
    finish,
    promptTokens: usage?.prompt_tokens ?? 0,
    completionTokens: usage?.completion_tokens ?? 0,
    cachedTokens: usage?.prompt_tokens_details?.cached_tokens ?? 0,
  }
}
