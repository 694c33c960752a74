/**
 * Following a message's text through a template that may trim, join or repeat it.
 *
 * Two characters that no text contains (Unicode noncharacters) are put around the text inside its outer white space, so that `trim`
 * still works. After rendering, what lies between them came from a message and the rest from the template. The caller compares
 * the marked result without its marks to the plain one: where they differ, the marks changed what the template did and must
 * not be trusted. Where they agree, text between marks can only be the message's, whatever it says: the marks are chosen
 * after the text is known.
 */
import { Failure } from '#contracts/failure.ts'

/** Tokenise with `parseSpecial: special`. */
export interface Segment {
  readonly text: string
  readonly special: boolean
}

export interface Marks {
  readonly open: string
  readonly close: string
}

/** Names of special tokens hold one of these in every known vocabulary (`<s>`, `<|im_end|>`, `[INST]`, `<｜User｜>`, `{{…}}`). */
export function mayHoldSpecial(content: string): boolean {
  return /[<>[\]{}|｜]/.test(content)
}

/** Stricter, for text that must go through unmarked. Reasoning tags are let through: templates look for them. */
export function namesSpecial(content: string): boolean {
  const rest = content.replaceAll(/<\/?think>/g, ' ')
  return /<[|｜]|[|｜]>|<\/?[A-Za-z_][\w.:-]*>|<<[A-Z/]|\[\/?[A-Z_]{2,}\]/.test(rest)
}

export function chooseMarks(contents: readonly string[]): Marks {
  const free = Array.from({ length: 32 }, (_, i) => String.fromCharCode(0xfdd0 + i)).filter(
    (mark) => !contents.some((content) => content.includes(mark)),
  )
  const [open, close] = free
  if (open === undefined || close === undefined) {
    throw new Failure(
      'invalid-request',
      'the messages hold nearly every Unicode noncharacter (U+FDD0 to U+FDEF); remove them',
      {
        param: 'messages',
      },
    )
  }
  return { open, close }
}

export function markContent(content: string, { open, close }: Marks): string {
  const core = content.trim()
  if (core === '') return content
  const start = content.indexOf(core)
  return content.slice(0, start) + open + core + close + content.slice(start + core.length)
}

export function withoutMarks(text: string, { open, close }: Marks): string {
  return text.replaceAll(open, '').replaceAll(close, '')
}

/** Segments between the marks, or null where a mark has lost its partner: then nobody can say where the message's text began. */
export function splitAtMarks(text: string, { open, close }: Marks): Segment[] | null {
  const [head = '', ...parts] = text.split(open)
  if (head.includes(close)) return null
  const segments: Segment[] = [{ text: head, special: true }]
  for (const part of parts) {
    const [inside, outside, ...more] = part.split(close)
    if (inside === undefined || outside === undefined || more.length > 0) return null
    segments.push({ text: inside, special: false }, { text: outside, special: true })
  }
  return segments.filter((segment) => segment.text !== '')
}
