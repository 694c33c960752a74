/**
 * What the router bench measures: added latency one request at a time, requests per CPU-second at concurrency 32, and paced
 * streams (lost frames, added gap, frames per CPU-second).
 */
import type { Answer, HttpClient } from './client.ts'
import { chatPath, isComplete } from './load.ts'
import { paceMs } from './pace.ts'
import { contentOf } from './sse.ts'
import { gaps, quantile } from './statistics.ts'

export interface LoadFigures {
  readonly done: number
  readonly failed: number
  readonly firstFailure: string | null
  readonly p50Ms: number
  readonly p99Ms: number
  /** Content frames that reached the client. */
  readonly frames: number
  /** Frames whose token never came: text that differs from what was to come, or a stream that broke off. */
  readonly lost: number
}

export const messages = [
  { role: 'system', content: 'You are a helpful assistant. Answer briefly and to the point.' },
  {
    role: 'user',
    content: 'What should one look for when buying a used bicycle? Name the three most important things.',
  },
]
const instantBody = { messages, max_tokens: 16, temperature: 0, ignore_eos: true }

export const sendInstant = (client: HttpClient): Promise<Answer> => client.post(chatPath, instantBody)

/** Closed loop: `concurrency` requests in flight until `durationMs` have passed. */
export async function closedLoop(
  client: HttpClient,
  { concurrency, durationMs }: { concurrency: number; durationMs: number },
): Promise<LoadFigures> {
  const until = performance.now() + durationMs
  const times: number[] = []
  const failures: Answer[] = []
  const lane = async () => {
    while (performance.now() < until) {
      const answer = await sendInstant(client)
      if (answer.status === 200 && answer.error === null) times.push(answer.endedAt - answer.startedAt)
      else failures.push(answer)
      if (failures.length > 100) return
    }
  }
  await Promise.all(Array.from({ length: concurrency }, lane))
  return figuresOf({ times, failures, frames: 0, lost: 0 })
}

const pacedBody = (tokens: number) => ({
  messages,
  max_tokens: tokens,
  temperature: 0,
  ignore_eos: true,
  stream: true,
  stream_options: { include_usage: true },
  pace_ms: paceMs,
})

/** The text that every paced stream must carry: one stream alone, before the clock runs. */
export async function expectedText(client: HttpClient, tokens: number): Promise<string> {
  return contentOf(await client.post(chatPath, pacedBody(tokens))).text
}

/** `streams` streams at once, started over one pace so that their frames do not fall on one instant. */
export async function pacedStreams(
  client: HttpClient,
  { streams, tokens, expected }: { streams: number; tokens: number; expected: string },
): Promise<LoadFigures> {
  const answers = await Promise.all(Array.from({ length: streams }, () => client.post(chatPath, pacedBody(tokens))))
  const broken = answers.filter((answer) => !isComplete(answer))
  const lost = answers.reduce((total, answer) => {
    if (!isComplete(answer)) return total + tokens - answer.contentAt.length
    return total + (contentOf(answer).text === expected ? 0 : Math.max(1, tokens - answer.contentAt.length))
  }, 0)
  const frames = answers.reduce((total, answer) => total + answer.contentAt.length, 0)
  return figuresOf({ times: answers.flatMap((answer) => gaps(answer.contentAt)), failures: broken, frames, lost })
}

export function figuresOf(load: {
  times: readonly number[]
  failures: readonly Answer[]
  frames: number
  lost: number
}): LoadFigures {
  const first = load.failures[0]
  return {
    done: load.times.length,
    failed: load.failures.length,
    firstFailure:
      first === undefined ? null : `status ${first.status} ${first.error?.message ?? ''} ${first.body.slice(0, 200)}`,
    p50Ms: quantile(load.times, 0.5),
    p99Ms: quantile(load.times, 0.99),
    frames: load.frames,
    lost: load.lost,
  }
}
