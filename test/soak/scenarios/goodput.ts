/**
 * Requests whose fate against the SLO is mixed by design, judged twice: by the server's counters and by what the client saw.
 *
 * Fates are kept away from the limits (a late first token is very late), so that the few milliseconds between router and client
 * decide nothing. The client's count uses nothing but status codes, arrival times and usage.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { type Answer, HttpClient, type Target } from '../../bench/harness/client.ts'
import { chatBody, chatPath } from '../../bench/harness/load.ts'
import type { Deployment } from '../../bench/harness/platform.ts'
import { wordsOf } from '../../bench/harness/prompts.ts'
import { type Sample, total } from '../../bench/harness/prometheus.ts'
import { between, pick, seeded } from '../../bench/harness/random.ts'
import { contentOf } from '../../bench/harness/sse.ts'

export const slo = { ttftMs: 400, tpotMs: 40 }

/** Every deployment has one fate by its speed; requests to `tight` may be refused or expire as well. */
export const deployments: readonly Deployment[] = [
  { name: 'fast', spec: simulated({ stepMs: 4, rowMs: 0 }, { slots: 16 }) },
  { name: 'slow-tokens', spec: simulated({ stepMs: 80, rowMs: 0 }, { slots: 16 }) },
  { name: 'slow-prompts', spec: simulated({ stepMs: 4, rowMs: 0, promptTokensPerSecond: 200 }, { slots: 16 }) },
  { name: 'tight', spec: simulated({ stepMs: 25, rowMs: 0 }, { slots: 2, requestsMax: 4 }) },
  {
    name: 'broken',
    spec: simulated({ stepMs: 4, rowMs: 0, faults: [{ kind: 'garbage', probability: 0.02 }] }, { slots: 16 }),
  },
]

function simulated(settings: object, { slots, requestsMax = 512 }: { slots: number; requestsMax?: number }): object {
  return {
    engine: {
      kind: 'simulated',
      slots,
      contextTokensMax: 2_048,
      prefixCacheMiB: 0,
      simulated: { promptTokensPerSecond: 100_000, ...settings },
    },
    slo,
    queue: { requestsMax },
  }
}

export type Fate = 'good' | 'refused' | 'expired' | 'late-first-token' | 'late-tokens' | 'failed' | 'not-counted'
export const fates: readonly Fate[] = ['good', 'refused', 'expired', 'late-first-token', 'late-tokens', 'failed']

export interface Judged {
  readonly model: string
  readonly fate: Fate
  /** How far the deciding figure was from its limit, relative to the limit: small ones could have gone either way. */
  readonly margin: number
}

export async function runGoodput(url: string, { count, seed }: { count: number; seed: number }): Promise<Judged[]> {
  const random = seeded(seed)
  const clients = new Map(deployments.map(({ name }) => [name, clientOf(url, name)]))
  const judged: Promise<Judged>[] = []
  for (let index = 0; index < count; index += 1) {
    const { name } = pick(random, deployments)
    const client = clients.get(name)
    if (client !== undefined) judged.push(sendOne(client, name, { random, seed: seed * 100_000 + index }))
    await wait(between(random, 0, 24))
  }
  const results = await Promise.all(judged)
  for (const client of clients.values()) await client.close()
  return results
}

/** Prompts that are slow by design pile up: who is still waiting after some seconds shall not be waited for. */
const deadlineMs = (model: string): number => (model === 'tight' ? 350 : model === 'slow-prompts' ? 6_000 : 20_000)

const clientOf = (url: string, model: string): HttpClient => {
  const target: Target = {
    name: model,
    url,
    model,
    headers: { 'x-paceline-deadline-ms': String(deadlineMs(model)) },
  }
  return new HttpClient(target, 256)
}

async function sendOne(
  client: HttpClient,
  model: string,
  { random, seed }: { random: () => number; seed: number },
): Promise<Judged> {
  const streaming = random() < 0.7
  const prompt = wordsOf(seed, model === 'slow-prompts' ? between(random, 160, 240) : between(random, 4, 12))
  const tokens = between(random, 8, 24)
  const { stream_options: _, ...plain } = chatBody({ prompt, tokens })
  const body = streaming ? chatBody({ prompt, tokens }) : { ...plain, stream: false }
  const answer = await client.post(chatPath, body)
  return { model, ...judge(answer, streaming) }
}

/** The client's own verdict, from the definitions in the documentation and nothing else. */
export function judge(answer: Answer, streaming: boolean): { fate: Fate; margin: number } {
  const certain = (fate: Fate) => ({ fate, margin: Number.POSITIVE_INFINITY })
  const code = errorCodeOf(answer)
  if (answer.status === 429) return certain('refused')
  if (code === 'deadline_exceeded') return certain('expired')
  if (code === 'no_worker' || code === 'bus_unavailable' || code === 'draining') return certain('refused')
  if (answer.status >= 500 || answer.error !== null || code !== null || (streaming && !answer.done))
    return certain('failed')
  if (answer.status !== 200) return certain('not-counted')
  const further = Math.max(0, contentOf(answer).completionTokens - 1)
  const durationMs = answer.endedAt - answer.startedAt
  if (!streaming) {
    const limit = slo.ttftMs + slo.tpotMs * further
    const margin = Math.abs(durationMs - limit) / limit
    return { fate: durationMs <= limit ? 'good' : further === 0 ? 'late-first-token' : 'late-tokens', margin }
  }
  const ttftMs = (answer.firstAt ?? answer.endedAt) - answer.startedAt
  const tokensMs = (answer.contentAt.at(-1) ?? 0) - (answer.contentAt[0] ?? 0)
  const limitMs = slo.tpotMs * further
  const firstMargin = Math.abs(ttftMs - slo.ttftMs) / slo.ttftMs
  const tokenMargin = limitMs === 0 ? Number.POSITIVE_INFINITY : Math.abs(tokensMs - limitMs) / limitMs
  if (ttftMs > slo.ttftMs) return { fate: 'late-first-token', margin: firstMargin }
  return { fate: tokensMs > limitMs ? 'late-tokens' : 'good', margin: Math.min(firstMargin, tokenMargin) }
}

/** From the body, or from an error event inside a stream. */
function errorCodeOf(answer: Answer): string | null {
  const texts = [answer.body, ...answer.frames.slice(-3).map((frame) => frame.data)]
  for (const text of texts) {
    const match = text.includes('"error"') ? /"code":"(\w+)"/.exec(text) : null
    if (match?.[1] !== undefined) return match[1]
  }
  return null
}

/** The server's counts by fate, as growth between two readings of the router's metrics. */
export function serverCounts(before: readonly Sample[], after: readonly Sample[]): Record<string, number> {
  const growth = (name: string, labels: Record<string, string> = {}) =>
    total(after, name, labels) - total(before, name, labels)
  return Object.fromEntries(
    fates.map((fate) => [
      fate,
      fate === 'good'
        ? growth('paceline_slo_good_requests_total')
        : growth('paceline_slo_lost_requests_total', { cause: fate }),
    ]),
  )
}
