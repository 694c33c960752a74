/**
 * Shapes of load: a number of streams at once, a walk of 3 to 5 busy slots, and a fixed number of requests at a fixed concurrency.
 *
 * Every shape is a pure function of its seed on the sending side, so that two servers get the same requests in the same order.
 */
import type { Answer, HttpClient } from './client.ts'
import { contentOf } from './sse.ts'
import { between, seeded } from './random.ts'
import { question, wordsOf } from './prompts.ts'

export interface ChatRequest {
  readonly prompt: string
  readonly tokens: number
}

export const chatPath = '/v1/chat/completions'

export const chatBody = ({ prompt, tokens }: ChatRequest): Record<string, unknown> => ({
  messages: [{ role: 'user', content: prompt }],
  max_tokens: tokens,
  temperature: 0,
  ignore_eos: true,
  stream: true,
  stream_options: { include_usage: true },
})

export const sendChat = (client: HttpClient, request: ChatRequest, signal?: AbortSignal): Promise<Answer> =>
  client.post(chatPath, chatBody(request), signal)

export interface Throughput {
  readonly tokens: number
  readonly promptTokens: number
  readonly tokensPerSecond: number
  /** First token to last, summed over streams: the decode phase alone. */
  readonly ttftMs: readonly number[]
  readonly failed: number
  readonly firstFailure: string | null
}

/** `streams` requests at once, all of `tokens` tokens. */
export async function atOnce(
  client: HttpClient,
  { streams, tokens, seed }: { streams: number; tokens: number; seed: number },
): Promise<Throughput> {
  const startedAt = performance.now()
  const answers = await Promise.all(
    Array.from({ length: streams }, (_, index) => sendChat(client, { prompt: question(seed * 1_000 + index), tokens })),
  )
  return throughputOf(answers, performance.now() - startedAt)
}

/**
 * Chat-like requests (50 to 100 tokens with the template, answers of 32 to 224) that keep 3 to 5 slots busy: after each end the wanted number in flight is drawn anew and requests
 * are sent until it is reached. Order and lengths depend on the seed alone, only their timing on the server.
 */
export async function mixed(
  client: HttpClient,
  { requests, seed }: { requests: number; seed: number },
): Promise<Throughput> {
  const random = seeded(seed)
  const plan = Array.from({ length: requests }, (_, index) => ({
    prompt: wordsOf(seed * 1_000 + index, between(random, 10, 60)),
    tokens: between(random, 32, 224),
  }))
  const levels = Array.from({ length: requests + 1 }, () => between(random, 3, 5))
  const answers: Answer[] = []
  const startedAt = performance.now()
  let next = 0
  let inFlight = 0
  await new Promise<void>((resolve) => {
    const fill = () => {
      const level = levels[answers.length] ?? 3
      while (inFlight < level && next < plan.length) {
        const request = plan[next]
        next += 1
        inFlight += 1
        if (request === undefined) break
        void sendChat(client, request).then((answer) => {
          inFlight -= 1
          answers.push(answer)
          if (answers.length === plan.length) resolve()
          else fill()
        })
      }
    }
    fill()
  })
  return throughputOf(answers, performance.now() - startedAt)
}

export function throughputOf(answers: readonly Answer[], wallMs: number): Throughput {
  const contents = answers.map((answer) => (isComplete(answer) ? contentOf(answer) : null))
  const tokens = contents.reduce((total, content) => total + (content?.completionTokens ?? 0), 0)
  return {
    tokens,
    promptTokens: contents.reduce((total, content) => total + (content?.promptTokens ?? 0), 0),
    tokensPerSecond: (tokens / wallMs) * 1_000,
    ttftMs: answers.flatMap((answer) => (answer.firstAt === null ? [] : [answer.firstAt - answer.startedAt])),
    failed: answers.filter((answer) => !isComplete(answer)).length,
    firstFailure: describeFailure(answers.find((answer) => !isComplete(answer))),
  }
}

export const isComplete = (answer: Answer): boolean => answer.status === 200 && answer.error === null && answer.done

function describeFailure(answer: Answer | undefined): string | null {
  if (answer === undefined) return null
  const last = answer.frames.at(-1)?.data ?? answer.body
  return `status ${answer.status}, ${answer.error?.message ?? 'ended early'}: ${last.slice(0, 300)}`
}
