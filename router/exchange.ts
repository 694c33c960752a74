/**
 * One HTTP request and its response: the id that goes in and out, the one answer, and what is counted and logged of it.
 *
 * Answers once: whoever answers first wins, everything later is dropped. When the connection closes before the answer is
 * complete, `running` is cancelled, streaming or not. Prompts, answers and keys are never logged.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Failure } from '#contracts/failure.ts'
import { RequestId } from '#contracts/ids.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { formatTraceparent, parseTraceparent } from '#runtime/traceContext.ts'
import type { Span, Tracer } from '#runtime/tracing.ts'
import type { StallWatch } from './backpressure.ts'
import type { AnsweringSockets } from './clientError.ts'
import { outcomeOf, type RequestOutcomeTag } from './core/goodput.ts'
import { outcomeTag, type RouterMetrics } from './metrics.ts'
import {
  asksForDecision,
  decisionHeaders,
  expertHeaders,
  explainHeader,
  riskHeader,
  riskHeaders,
} from './openai/decision.ts'
import { errorBody, errorJson, retryAfterSeconds, statusOf } from './openai/errors.ts'
import type { StreamOutput } from './openai/stream.ts'
import type { WholeOutput } from './openai/whole.ts'
import type { ExpertChoice, RequestHandle, RequestOutcome } from './request.ts'
import type { Router } from './router.ts'
import type { Decided } from './routing.ts'
import { beginRequest, decisionSpan, endRequest } from './spans.ts'

export interface ExchangeContext {
  readonly router: Router
  readonly clock: Clock
  readonly log: Log
  readonly metrics: RouterMetrics
  readonly accessLog: boolean
  /** Null: nothing is traced. */
  readonly tracer: Tracer | null
  readonly answering: AnsweringSockets
  readonly stalls: StallWatch
}

const clientLeftStatus = 499
const noHeaders: Readonly<Record<string, string>> = {}

export class Exchange implements StreamOutput, WholeOutput {
  readonly id: RequestId
  readonly arrivedAt: number
  /** For metrics and logs; `other` until it is known to exist. */
  model = 'other'
  /** What a refusal for a full queue says was the limit. */
  queueRequestsMax: number | null = null
  /** What to cancel when the client leaves. Held here, not in a closure: measured with one, whole requests lived into old memory. */
  running: RequestHandle | null = null
  onDrain: (() => void) | null = null
  /** Which deployment was chosen, and why; null: nothing was asked of a model. */
  decided: Decided | null = null
  /** Which expert computes it, and why; null where that is not known yet, or nobody has one. */
  #expert: ExpertChoice | null = null
  /** What its spans hang on; null: it is not traced. */
  readonly trace: Span | null
  readonly #context: ExchangeContext
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #endpoint: string
  /** HTTP/1.0 knows no chunks: there a stream ends with its connection. */
  readonly #chunked: boolean
  #blocked = false
  #answered = false

  constructor(context: ExchangeContext, request: IncomingMessage, response: ServerResponse, endpoint: string) {
    this.#context = context
    this.#request = request
    this.#response = response
    this.#endpoint = endpoint
    this.#chunked = request.httpVersionMinor !== 0
    this.arrivedAt = context.clock.now()
    this.id = requestIdOf(request) ?? RequestId.parse(context.router.newId())
    this.trace = context.tracer === null ? null : this.#beginTrace(context.tracer)
    context.answering.begin(request, response)
    response.on('close', () => this.#closed())
  }

  /** Of several prompts the last. */
  chose(choice: ExpertChoice): void {
    this.#expert = choice
  }

  get started(): boolean {
    return this.#response.headersSent
  }

  get blocked(): boolean {
    return this.#blocked
  }

  /** True once nothing more may be written. */
  get answered(): boolean {
    return this.#answered
  }

  write(events: string): void {
    if (this.#answered) return
    if (!this.#response.headersSent) this.#startStream()
    if (this.#response.write(this.#chunked ? chunkOf(events) : events) || this.#blocked) return
    this.#blocked = true
    this.#context.metrics.backpressure.inc({})
    this.#context.stalls.block(this.#response, { resume: () => this.#resume(), cutOff: () => this.cutOff() })
  }

  end(events: string, outcome: RequestOutcome): void {
    if (this.#answered) return
    if (!this.#response.headersSent) this.#startStream()
    this.#response.end(this.#chunked ? chunkOf(events) + lastChunk : events, () => this.#leave())
    if (this.#response.writableLength > 0) this.#awaitReader()
    this.#done(200, outcomeTag(outcome))
  }

  /**
   * A stream that began before the drain could not say that it is the last one of its connection. The end of the connection comes right
   * behind the end of the stream, so no client sends its next request in between.
   */
  #leave(): void {
    if (this.#context.router.draining) this.#request.socket.end()
  }

  answer(body: string, outcome: RequestOutcome): void {
    this.#send(200, body, outcomeTag(outcome))
  }

  /** Pages that are not requests to a model. */
  json(status: number, value: unknown): void {
    this.#send(status, JSON.stringify(value), 'completed')
  }

  fail(failure: Failure): void {
    const seconds = retryAfterSeconds(failure)
    const headers = seconds === null ? {} : this.#retryHeaders(failure, seconds)
    this.#send(statusOf(failure.code), errorBody(failure), outcomeOf(failure.code), headers)
    // A refusal is no fault of ours, and under overload there are thousands a second; metrics count them.
    if (statusOf(failure.code) < 500 || outcomeOf(failure.code) === 'refused') return
    const { code, message } = failure
    this.#context.log.warn({ request: this.id, model: this.model, code, reason: message }, 'request failed')
  }

  /** For what has no failure code: no such page, wrong method. */
  refuse(status: number, error: { message: string; code: string }, headers: Record<string, string> = {}): void {
    const type = status < 500 ? 'invalid_request_error' : 'server_error'
    this.#send(status, errorJson({ ...error, type, param: null }), status < 500 ? 'invalid' : 'failed', headers)
  }

  /** Whom it is asked of first, for a client that leaves before more is known. */
  plan(planned: Decided): void {
    this.decided = planned
    this.model = planned.decision.deployment ?? this.model
  }

  /** Who answers, or why nobody does. */
  decide(decided: Decided): void {
    this.decided = decided
    if (this.trace !== null) decisionSpan(this.trace, decided, this.#context.clock.now())
    const { deployment, steps } = decided.decision
    this.model = deployment ?? steps?.at(-1)?.deployment ?? this.model
  }

  /** A bug, found where nobody called who could be told. */
  threw(error: unknown): void {
    this.#context.log.error({ request: this.id, error }, 'bug: a request handler threw')
    if (this.started) this.#response.destroy()
    else this.refuse(500, { message: 'internal error; the log of the router says more', code: 'internal_error' })
  }

  /** A bug in what the client hears nothing of. */
  threwAside(error: unknown): void {
    this.#context.log.error({ request: this.id, error }, 'bug: what is done aside of a request threw')
  }

  abandon(): void {
    if (this.#answered) return
    this.#done(clientLeftStatus, 'cancelled')
    if (!this.#response.destroyed) this.#response.destroy()
  }

  cutOff(): void {
    this.#context.log.info({ request: this.id, model: this.model }, 'client cut off: it does not read its answer')
    this.#response.destroy()
  }

  #retryHeaders(failure: Failure, seconds: number): Record<string, string> {
    const retry = { 'retry-after': String(seconds) }
    if (failure.code !== 'refused' || this.queueRequestsMax === null) return retry
    return {
      ...retry,
      'x-ratelimit-limit-requests': String(this.queueRequestsMax),
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-reset-requests': `${seconds}s`,
    }
  }

  #startStream(): void {
    this.#response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
      'x-request-id': this.id,
      ...this.#traceHeaders(),
      ...this.#decisionHeaders(),
      ...(this.#chunked ? { 'transfer-encoding': 'chunked' } : {}),
      ...this.#closing(),
    })
    this.#answerBegins()
    // Node would write each chunk as four pieces; a frame of a stream is one string, and a tenth of its cost is saved.
    this.#response.chunkedEncoding = false
  }

  /** While the router drains each answer is the last one of its connection. */
  #closing(): Record<string, string> {
    return this.#context.router.draining ? { connection: 'close' } : {}
  }

  #send(status: number, body: string, outcome: RequestOutcomeTag, headers: Record<string, string> = {}): void {
    if (this.#answered) return
    this.#response.writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(body),
      'x-request-id': this.id,
      ...this.#traceHeaders(),
      ...this.#decisionHeaders(),
      ...this.#closing(),
      ...headers,
    })
    if (status === 200) this.#answerBegins()
    this.#response.end(body)
    this.#done(status, outcome)
  }

  /** What the client of a route waits for: what was asked of others before is part of it. */
  #answerBegins(): void {
    const { route = null, deployment = null } = this.decided?.decision ?? {}
    if (route === null) return
    const { metrics, clock } = this.#context
    const seconds = (clock.now() - this.arrivedAt) / 1_000
    metrics.routeFirstText.observe({ route, deployment: deployment ?? 'none' }, seconds)
  }

  #beginTrace(tracer: Tracer): Span | null {
    const parent = parseTraceparent(headerOf(this.#request, 'traceparent'))
    return beginRequest(tracer, parent, { id: this.id, endpoint: this.#endpoint, at: this.arrivedAt })
  }

  /** Where the client finds what was traced. */
  #traceHeaders(): Record<string, string> {
    return this.trace === null ? noHeaders : { traceresponse: formatTraceparent(this.trace.context) }
  }

  #decisionHeaders(): Record<string, string> {
    if (this.decided === null) return noHeaders
    const asks = (header: string) => asksForDecision(headerOf(this.#request, header))
    if (!asks(explainHeader)) return asks(riskHeader) ? riskHeaders(this.decided) : noHeaders
    return { ...decisionHeaders(this.decided), ...riskHeaders(this.decided), ...expertHeaders(this.#expert) }
  }

  #resume(): void {
    this.#blocked = false
    if (!this.#answered) this.onDrain?.()
  }

  /** The answer is complete, but the client has not read all of it. */
  #awaitReader(): void {
    this.#context.stalls.blockUntilClosed(this.#response, () => this.#response.destroy())
  }

  #closed(): void {
    this.#context.stalls.closed(this.#response)
    this.onDrain = null
    if (!this.#answered) this.running?.cancel()
    if (!this.#answered) this.#done(clientLeftStatus, 'cancelled')
  }

  #done(status: number, outcome: RequestOutcomeTag): void {
    this.#answered = true
    this.running = null
    const { metrics, log, clock, accessLog } = this.#context
    metrics.requests.inc({ model: this.model, endpoint: this.#endpoint, outcome, status })
    const { route = null, deployment = null } = this.decided?.decision ?? {}
    if (route !== null) metrics.routeRequests.inc({ route, deployment: deployment ?? 'none', outcome })
    if (this.trace !== null) endRequest(this.trace, { status, outcome, model: this.model, at: clock.now() })
    if (!accessLog) return
    const trace = this.trace?.context.traceId ?? parseTraceparent(headerOf(this.#request, 'traceparent'))?.traceId
    const durationMs = Math.round((clock.now() - this.arrivedAt) * 100) / 100
    const fields = { request: this.id, model: this.model, endpoint: this.#endpoint, outcome, status, durationMs }
    const more = { ...(route === null ? {} : { route }), ...(trace === undefined ? {} : { trace }) }
    log.info({ ...fields, ...more }, 'request')
  }
}

const lastChunk = '0\r\n\r\n'

/** `text` as one chunk of chunked transfer coding; nothing for nothing, because an empty chunk ends the body. */
function chunkOf(text: string): string {
  return text === '' ? '' : `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
}

export function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' ? value : value?.[0]
}

/** The client's own id where it is a legal one; anything else is replaced, never repeated. */
function requestIdOf(request: IncomingMessage): RequestId | null {
  const given = headerOf(request, 'x-request-id')
  if (given === undefined) return null
  const parsed = RequestId.safeParse(given)
  return parsed.success ? parsed.data : null
}
