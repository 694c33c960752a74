/**
 * A campaign of hostile requests: bodies fuzzed from the request schemas, raw bytes, half-open connections, all at once.
 *
 * Every answer must be one the client can act on: 2xx, 4xx with OpenAI's error shape, or 503 with `Retry-After`; within a second.
 */
import fc from 'fast-check'
import { type Answer, HttpClient, type Target } from '../../bench/harness/client.ts'
import { contentOf } from '../../bench/harness/sse.ts'
import { fromSchema } from './fuzz.ts'
import { halfOpen, type RawOutcome, rawRequests, sendRaw } from './rawRequests.ts'
import { ChatBody, CompletionBody, EmbeddingBody } from './requestSchemas.ts'

export interface Finding {
  readonly what: string
  readonly status: number
  readonly tookMs: number
  readonly request: string
  readonly answer: string
}

export interface Campaign {
  readonly sent: number
  readonly statuses: Readonly<Record<string, number>>
  /** Times of refusals (4xx), in ms. */
  readonly refusalMs: readonly number[]
  readonly slowest: number
  readonly findings: readonly Finding[]
}

export interface CampaignOptions {
  readonly count: number
  readonly seed: number
  readonly concurrency: number
  /** An answer later than this is a hang. */
  readonly hangMs: number
}

const findingsMax = 50

export class Tally {
  readonly statuses: Record<string, number> = {}
  readonly refusalMs: number[] = []
  readonly findings: Finding[] = []
  sent = 0
  slowest = 0

  add(status: number, tookMs: number): void {
    this.sent += 1
    this.statuses[status] = (this.statuses[status] ?? 0) + 1
    this.slowest = Math.max(this.slowest, tookMs)
    if (status >= 400 && status < 500) this.refusalMs.push(tookMs)
  }

  find(finding: Finding): void {
    if (this.findings.length < findingsMax) this.findings.push(finding)
  }
}

/** `count` fuzzed bodies over the three endpoints; the same seed sends the same bodies. */
export async function fuzzBodies(target: Target, options: CampaignOptions): Promise<Campaign> {
  const fixed = { model: target.model, max_tokens: 2 }
  const bodies = fc.oneof(
    {
      weight: 6,
      arbitrary: requestsTo(
        '/v1/chat/completions',
        fromSchema(ChatBody, { ...fixed, messages: [{ role: 'user', content: 'x' }] }),
      ),
    },
    { weight: 3, arbitrary: requestsTo('/v1/completions', fromSchema(CompletionBody, { ...fixed, prompt: 'x' })) },
    {
      weight: 1,
      arbitrary: requestsTo('/v1/embeddings', fromSchema(EmbeddingBody, { model: target.model, input: 'x' })),
    },
  )
  const tally = new Tally()
  const client = new HttpClient(target, options.concurrency)
  const batch = 2_000
  for (let done = 0; done < options.count; done += batch) {
    const size = Math.min(batch, options.count - done)
    const requests = fc.sample(bodies, { numRuns: size, seed: options.seed + done })
    let next = 0
    const lane = async () => {
      for (let request = requests[next]; request !== undefined; request = requests[next]) {
        next += 1
        judge(tally, request, await client.post(request.path, request.body), options)
      }
    }
    await Promise.all(Array.from({ length: options.concurrency }, lane))
  }
  await client.close()
  return tally
}

interface Request {
  readonly path: string
  readonly body: string
}

const requestsTo = (path: string, bodies: fc.Arbitrary<unknown>): fc.Arbitrary<Request> =>
  bodies.map((body) => ({ path, body: JSON.stringify(body) ?? 'undefined' }))

function judge(tally: Tally, request: Request, answer: Answer, { hangMs }: CampaignOptions): void {
  const tookMs = answer.endedAt - answer.startedAt
  tally.add(answer.status, tookMs)
  const what = wrongWith(answer, tookMs, hangMs)
  if (what === null) return
  const text = answer.body === '' ? (answer.frames.at(-1)?.data ?? '') : answer.body
  tally.find({
    what,
    status: answer.status,
    tookMs,
    request: `${request.path} ${request.body.slice(0, 600)}`,
    answer: text.slice(0, 300),
  })
}

/** Null where an answer is as it must be. */
function wrongWith(answer: Answer, tookMs: number, hangMs: number): string | null {
  if (answer.error !== null) return `connection broke: ${answer.error.message}`
  if (tookMs > hangMs) return 'took too long'
  if (answer.status === 503 && answer.headers['retry-after'] === undefined) return '503 without Retry-After'
  if (answer.status >= 500 && answer.status !== 503) return 'server error'
  if (answer.headers['x-request-id'] === undefined) return 'no x-request-id'
  if (answer.status >= 400) return isOpenAiError(answer.body) ? null : 'not an OpenAI error'
  return answer.frames.length > 0 && !answer.done && contentOf(answer).finish === null ? 'stream ended early' : null
}

export function isOpenAiError(body: string): boolean {
  try {
    const parsed = JSON.parse(body) as { error?: Record<string, unknown> }
    const { error } = parsed
    return (
      error !== undefined &&
      ['message', 'type', 'code', 'param'].every((field) => field in error) &&
      typeof error['message'] === 'string'
    )
  } catch {
    return false
  }
}

/** Every raw request `times` times, `concurrency` at once, beside `open` connections that never finish theirs. */
export async function rawCampaign(
  target: Target,
  { times, concurrency, open, hangMs }: { times: number; concurrency: number; open: number; hangMs: number },
): Promise<Campaign> {
  const { hostname: host, port } = new URL(target.url)
  const to = { host, port: Number(port) }
  const tally = new Tally()
  const close = await halfOpen(to, open)
  const all = Array.from({ length: times }, () => rawRequests).flat()
  let next = 0
  const lane = async () => {
    for (let raw = all[next]; raw !== undefined; raw = all[next]) {
      next += 1
      const outcome = await sendRaw(to, { name: raw.name, bytes: raw.bytes({ host, model: target.model }) })
      tally.add(outcome.status, outcome.tookMs)
      const what = wrongWithRaw(outcome, raw.statuses, hangMs)
      if (what !== null)
        tally.find({ what, status: outcome.status, tookMs: outcome.tookMs, request: raw.name, answer: outcome.body })
    }
  }
  await Promise.all(Array.from({ length: concurrency }, lane))
  close()
  return tally
}

function wrongWithRaw(outcome: RawOutcome, statuses: readonly number[], hangMs: number): string | null {
  if (outcome.timedOut || outcome.tookMs > hangMs) return 'took too long'
  if (outcome.status === 503 && outcome.retryAfter) return null
  return statuses.includes(outcome.status) ? null : `expected ${statuses.join(' or ')}`
}
