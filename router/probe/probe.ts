/** The questions of `main.ts` and what counts as an answer; the network and time are given. */
import * as z from 'zod'

export interface ProbeOptions {
  readonly url: string
  readonly apiKey: string | null
  readonly fetch: (url: string, init: { headers: Record<string, string>; signal: AbortSignal }) => Promise<Response>
  readonly wait: (ms: number) => Promise<void>
}

export interface ProbeResult {
  readonly good: boolean
  /** Why not; empty where it is. */
  readonly reason: string
  readonly answers: readonly { readonly path: string; readonly said: string }[]
}

/** A router that has just started waits for its configuration. */
const attemptsMax = 15
const attemptWaitMs = 1_000
const answerMsMax = 5_000
const Models = z.object({ object: z.literal('list'), data: z.array(z.object({ id: z.string() })) })

export async function probe(options: ProbeOptions): Promise<ProbeResult> {
  const ready = await untilReady(options)
  if (ready.status !== 200) return { good: false, reason: `/readyz: ${ready.said}`, answers: [] }
  const readiness = { path: '/readyz', said: ready.said }
  const models = await ask(options, '/v1/models')
  const answers = [readiness, { path: '/v1/models', said: models.said }]
  if (models.status === 401 && options.apiKey === null) return { good: true, reason: '', answers }
  if (models.status !== 200) return { good: false, reason: `/v1/models: ${models.said}`, answers }
  const good = Models.safeParse(json(models.body)).success
  return { good, reason: good ? '' : '/v1/models: not a list of models', answers }
}

async function untilReady(options: ProbeOptions): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const answer = await ask(options, '/readyz')
    if (answer.status === 200 || attempt === attemptsMax) return answer
    await options.wait(attemptWaitMs)
  }
}

interface Answer {
  /** Null: no answer at all. */
  readonly status: number | null
  readonly body: string
  readonly said: string
}

async function ask({ url, apiKey, fetch }: ProbeOptions, path: string): Promise<Answer> {
  const headers: Record<string, string> = apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }
  try {
    const response = await fetch(new URL(path, url).href, { headers, signal: AbortSignal.timeout(answerMsMax) })
    const body = await response.text()
    return { status: response.status, body, said: `${response.status} ${body.slice(0, 200)}` }
  } catch (error) {
    return { status: null, body: '', said: wordsOf(error) }
  }
}

/** `fetch` hides the reason in the cause. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
