/**
 * Chat requests from a file, one JSON object per line, as clients send them: what they ask, and how they want it sampled. Whatever else a
 * line holds is passed over, because such files are cut out of logs. Never keeps or prints what a line says.
 */
import { open } from 'node:fs/promises'
import * as z from 'zod'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { ChatMessage } from '#contracts/messages.ts'
import { Sampling } from '#contracts/sampling.ts'
import { whatIsSaid, type WritingRequest } from './writeTexts.ts'

const { role, name } = ChatMessage.shape
const TextPart = z.object({ type: z.literal('text'), text: z.string() })
const Message = z.object({ role, name, content: z.union([z.string(), z.array(TextPart).min(1)]) })
const Line = z.object({
  messages: z.array(Message).min(1).max(limits.request.messagesMax),
  temperature: Sampling.shape.temperature.nullish(),
  top_p: Sampling.shape.topP.nullish(),
  top_k: Sampling.shape.topK.nullish(),
  min_p: Sampling.shape.minP.nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
})

/** The first `requestsMax` requests. Throws a Failure that names the line that is none. */
export async function readTraffic(path: string, requestsMax: number): Promise<WritingRequest[]> {
  const requests: WritingRequest[] = []
  let number = 0
  await using file = await open(path).catch((cause: unknown) => {
    throw new Failure('invalid-configuration', `the traffic ${path} cannot be read: ${String(cause)}`, { cause })
  })
  for await (const line of file.readLines()) {
    number += 1
    if (line.trim() === '') continue
    requests.push(parseLine(line, `${path}:${number}`))
    if (requests.length >= requestsMax) break
  }
  return requests
}

function parseLine(line: string, where: string): WritingRequest {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (cause) {
    throw new Failure('invalid-configuration', `${where} is not JSON`, { cause })
  }
  const { data, error } = Line.safeParse(value)
  if (data === undefined) {
    const [first] = error.issues
    const problem = `${first?.path.join('.') ?? ''}: ${first?.message ?? ''}`
    throw new Failure('invalid-configuration', `${where} is no chat request of text (${problem})`)
  }
  const tokensMax = data.max_completion_tokens ?? data.max_tokens ?? undefined
  const request = { messages: data.messages.map(messageOf), sampling: samplingOf(data) }
  return tokensMax === undefined ? request : { ...request, tokensMax }
}

function messageOf({ content, ...message }: z.infer<typeof Message>): ChatMessage {
  return { ...message, content: typeof content === 'string' ? content : content.map(({ text }) => text).join('') }
}

/** What is not said is left to the defaults of whoever replays. */
function samplingOf({
  temperature,
  top_p,
  top_k,
  min_p,
}: z.infer<typeof Line>): NonNullable<WritingRequest['sampling']> {
  return whatIsSaid({ temperature, topP: top_p, topK: top_k, minP: min_p })
}
