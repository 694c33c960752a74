/**
 * Questions to the processes of a running instance, over their HTTP doors. Nothing here waits longer than it is told.
 */
import { OperatorStatus } from '#contracts/operatorStatus.ts'

const statusTimeoutMs = 2_000
/** The first answer of a cold worker on a slow machine; the caller asks again in any case. */
const probeTimeoutMs = 30_000

/** null: it does not answer (yet). */
export async function askOperator(operatorUrl: string): Promise<OperatorStatus | null> {
  const answer = await getJson(`${operatorUrl}/status`)
  if (answer === null) return null
  return OperatorStatus.parse(answer)
}

/** null: it does not answer. */
export async function askVersion(url: string): Promise<string | null> {
  const answer = await getJson(`${url}/version`)
  const version = (answer as { version?: unknown } | null)?.version
  return typeof version === 'string' ? version : null
}

export async function getJson(url: string): Promise<unknown> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(statusTimeoutMs) })
    return response.ok ? await response.json() : null
  } catch {
    // Not listening, restarting, or slower than the limit: for whoever polls these are the same.
    return null
  }
}

export type Probe = { kind: 'answered'; endpoint: 'chat' | 'embeddings' } | { kind: 'not-yet'; reason: string }

export interface ProbeRequest {
  readonly url: string
  readonly model: string
  /** One of the configured API keys; null where the router is open. */
  readonly key: string | null
  readonly signal: AbortSignal
}

/** One real request for one token, through everything a client's request goes through. */
export async function probe({ url, model, ...rest }: ProbeRequest): Promise<Probe> {
  const messages = [{ role: 'user', content: 'Hello' }]
  const chat = await post(`${url}/v1/chat/completions`, { model, messages, max_tokens: 1 }, rest)
  if (chat.status === 200) return { kind: 'answered', endpoint: 'chat' }
  if (chat.status !== 400) return { kind: 'not-yet', reason: chat.reason }
  const embeddings = await post(`${url}/v1/embeddings`, { model, input: 'Hello' }, rest)
  const answered = embeddings.status === 200
  return answered ? { kind: 'answered', endpoint: 'embeddings' } : { kind: 'not-yet', reason: chat.reason }
}

async function post(
  url: string,
  body: unknown,
  { key, signal }: Pick<ProbeRequest, 'key' | 'signal'>,
): Promise<{ status: number; reason: string }> {
  const headers = { 'content-type': 'application/json', ...(key === null ? {} : { authorization: `Bearer ${key}` }) }
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(probeTimeoutMs)]),
    })
    return { status: response.status, reason: `${response.status} ${(await response.text()).slice(0, 300)}` }
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    return { status: 0, reason: cause instanceof Error ? cause.message : String(cause) }
  }
}
