/**
 * Labelled prompts from a file, one JSON object per line: `{"prompt": "…", "expert": "sql"}`, or `messages` as clients send them in the
 * place of `prompt`. Whatever else a line holds is passed over. Never keeps or prints what a line says.
 */
import { open } from 'node:fs/promises'
import * as z from 'zod'
import { gatedMessages, gatedStart } from '#algorithms/preGate/gatedText.ts'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { ChatMessage } from '#contracts/messages.ts'

const Line = z
  .object({
    prompt: z.string().optional(),
    messages: z
      .array(ChatMessage.pick({ role: true, content: true }))
      .min(1)
      .optional(),
    expert: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'an expert is named like a Kubernetes object'),
  })
  .refine(({ prompt, messages }) => (prompt === undefined) !== (messages === undefined), {
    message: 'a line has either a prompt or messages',
  })

export interface LabelledPrompt {
  readonly text: string
  readonly expert: string
}

/** Throws a Failure that names the line that is none. */
export async function readLabelledPrompts(path: string): Promise<LabelledPrompt[]> {
  const prompts: LabelledPrompt[] = []
  let number = 0
  await using file = await open(path).catch((cause: unknown) => {
    throw new Failure('invalid-configuration', `the prompts ${path} cannot be read: ${String(cause)}`, { cause })
  })
  for await (const line of file.readLines()) {
    number += 1
    if (line.trim() === '') continue
    prompts.push(parseLine(line, `${path}:${number}`))
    if (prompts.length > limits.experts.gateExamplesMax)
      throw new Failure('invalid-configuration', `${path} holds more than ${limits.experts.gateExamplesMax} prompts`)
  }
  return prompts
}

/** As a router will gate it. */
const textOf = ({ prompt, messages = [] }: z.infer<typeof Line>) =>
  prompt === undefined ? gatedMessages(messages) : gatedStart(prompt)

function parseLine(line: string, where: string): LabelledPrompt {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (cause) {
    throw new Failure('invalid-configuration', `${where} is not JSON`, { cause })
  }
  const { data, error } = Line.safeParse(value)
  if (data !== undefined) return { text: textOf(data), expert: data.expert }
  const [first] = error.issues
  const place = first === undefined || first.path.length === 0 ? '' : `${first.path.join('.')}: `
  throw new Failure('invalid-configuration', `${where} is no labelled prompt (${place}${first?.message ?? ''})`)
}
