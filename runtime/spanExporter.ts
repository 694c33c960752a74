/**
 * Sends ended spans to an OTLP/HTTP receiver as JSON, in batches: the standard's own settings and nothing that waits for it.
 *
 * Holds at most `spansMax`; what comes beyond is dropped and counted. One batch is under way at a time. A receiver that is away or busy
 * (429, 502, 503, 504) is asked again, as often as `attemptsMax`, after what it says or a doubled wait; any other answer loses the batch.
 * A receiver that is away makes one warning, not one per batch. Nothing that a receiver answers or a setting holds ends the process.
 */
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { limits } from '#contracts/limits.ts'
import { type Clock, keepAlive, type Timer } from './clock.ts'
import type { Log } from './log.ts'
import { otlpBody, type SpanSource } from './otlpSpans.ts'
import type { EndedSpan } from './tracing.ts'

export interface SpanExporterOptions {
  readonly clock: Clock
  readonly log: Log
  /** Where batches are posted, path and all. */
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly source: SpanSource
  /** What became of so many spans. */
  readonly count: (outcome: SpanOutcome, spans: number) => void
}

/** `dropped`: there was no room for it. `failed`: the receiver did not take it. */
export type SpanOutcome = 'exported' | 'dropped' | 'failed'

type Answer =
  | { readonly kind: 'taken'; readonly rejected: number }
  | { readonly kind: 'later'; readonly reason: string; readonly afterMs: number | null }
  | { readonly kind: 'refused'; readonly reason: string }

const { spansMax, batchSpansMax, batchWaitMs, timeoutMs, attemptsMax, retryWaitMs, closeMsMax, answerBytesMax } =
  limits.tracing
const busyStatuses = new Set([429, 502, 503, 504])

export class SpanExporter {
  readonly #o: SpanExporterOptions
  #waiting: EndedSpan[] = []
  #timer: Timer | null = null
  #sending: Promise<void> | null = null
  #isFailing = false
  #isClosed = false
  /** Aborts the request that is under way when closing has taken too long. */
  readonly #ending = new AbortController()
  #endWait: (() => void) | null = null

  constructor(options: SpanExporterOptions) {
    this.#o = options
  }

  readonly take = (span: EndedSpan): void => {
    if (this.#isClosed || this.#waiting.length >= spansMax) {
      this.#o.count('dropped', 1)
      return
    }
    this.#waiting.push(span)
    // Only once: a timer that each further span sets anew would never run.
    if (this.#waiting.length === batchSpansMax) this.#sendSoon(0)
    else if (this.#timer === null) this.#sendSoon(batchWaitMs)
  }

  /** Sends what is left, within `closeMsMax`. Each batch is tried once; what is not sent by then is counted as failed. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#timer = null
    this.#endWait?.()
    const alive = keepAlive()
    const deadline = this.#o.clock.after(closeMsMax, () => this.#ending.abort())
    await this.#sending
    while (this.#waiting.length > 0 && !this.#ending.signal.aborted) await this.#send()
    if (this.#waiting.length > 0)
      this.#lost(this.#waiting.splice(0).length, `not sent within ${closeMsMax} ms of the end`)
    deadline.cancel()
    alive.cancel()
  }

  #sendSoon(afterMs: number): void {
    if (this.#sending !== null || this.#isClosed) return
    this.#timer?.cancel()
    this.#timer = this.#o.clock.after(afterMs, () => {
      this.#timer = null
      this.#sending ??= this.#send().then(() => {
        this.#sending = null
        if (this.#waiting.length > 0) this.#sendSoon(this.#waiting.length >= batchSpansMax ? 0 : batchWaitMs)
      })
    })
  }

  /** Never rejects: nobody would catch it. */
  #send(): Promise<void> {
    return this.#sendBatch().catch((error: unknown) => this.#o.log.error({ error }, 'bug: spans could not be sent'))
  }

  async #sendBatch(): Promise<void> {
    const batch = this.#waiting.splice(0, batchSpansMax)
    const body = otlpBody(batch, this.#o.source)
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#post(body)
      if (answer.kind === 'taken') return this.#taken(batch.length, answer.rejected)
      const isLast = attempt >= attemptsMax || this.#isClosed
      if (answer.kind === 'refused' || isLast) return this.#lost(batch.length, answer.reason)
      await this.#wait(answer.afterMs ?? retryWaitMs * 2 ** (attempt - 1))
    }
  }

  #taken(spans: number, rejected: number): void {
    if (this.#isFailing) this.#o.log.info({}, 'traces are taken again')
    this.#isFailing = false
    const lost = Math.min(spans, Math.max(0, rejected))
    this.#o.count('exported', spans - lost)
    if (lost > 0) this.#o.count('failed', lost)
  }

  #lost(spans: number, reason: string): void {
    this.#o.count('failed', spans)
    // Not the whole address: it may hold a password or a key.
    const { origin, pathname } = this.#o.url
    if (!this.#isFailing)
      this.#o.log.warn({ url: `${origin}${pathname}`, reason }, 'traces are not taken; they are dropped')
    this.#isFailing = true
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#o.clock.after(Math.min(ms, timeoutMs), resolve)
      this.#endWait = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  /** Never rejects: every way to fail is an answer. */
  #post(body: string): Promise<Answer> {
    const { url, headers, clock } = this.#o
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    const answer = new Promise<Answer>((resolve) => {
      const later = (reason: string) => resolve({ kind: 'later', reason, afterMs: null })
      const bytes = Buffer.from(body)
      const request = send(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': bytes.length, ...headers },
        signal: this.#ending.signal,
      })
      const timer = clock.after(timeoutMs, () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)))
      request.on('close', () => timer.cancel())
      request.on('error', (error) => later(error.message))
      request.on('response', (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => {
          if (text.length < answerBytesMax) text += part
        })
        response.on('error', (error) => later(error.message))
        response.on('end', () => resolve(answerOf(response.statusCode ?? 0, response.headers['retry-after'], text)))
      })
      request.end(bytes)
    })
    return answer.catch((error: unknown) => ({
      kind: 'refused',
      reason: `no such request can be made: ${codeOf(error)}`,
    }))
  }
}

/** Not the message: it may quote a header that is a key. */
function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}

function answerOf(status: number, retryAfter: string | undefined, text: string): Answer {
  if (status >= 200 && status < 300) return { kind: 'taken', rejected: rejectedIn(text) }
  const reason = `HTTP ${status}`
  if (!busyStatuses.has(status)) return { kind: 'refused', reason }
  const seconds = Number(retryAfter)
  return { kind: 'later', reason, afterMs: retryAfter !== undefined && seconds >= 0 ? seconds * 1_000 : null }
}

/** A receiver may take a batch and say of how many spans of it that it did not. */
function rejectedIn(text: string): number {
  try {
    const answer: unknown = JSON.parse(text)
    const partial = typeof answer === 'object' && answer !== null && 'partialSuccess' in answer && answer.partialSuccess
    if (typeof partial !== 'object' || partial === null || !('rejectedSpans' in partial)) return 0
    return Number(partial.rejectedSpans) || 0
  } catch {
    return 0
  }
}
