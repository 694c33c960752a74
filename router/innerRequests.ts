/**
 * Requests that the router makes itself to answer one client's request: the step of a cascade, a judge's prompts, a second try, an
 * embedding. Each is an ordinary request (the client's tenant and place in its fair queue, retries, metrics of the deployment it goes to)
 * whose answer stays here, in memory and bounded, instead of going out.
 *
 * They live within their client's request: none starts once it was cancelled, all that run end with it, and none is given more time than
 * it has left, nor one that others come after all of that (`patienceMs`). For the deployment each counts as a request of its own, from the moment it is made; the client's request is counted once,
 * by its `Exchange`. Never answers the client.
 */
import assert from 'node:assert/strict'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { ChoiceDelta, Work } from '#contracts/messages.ts'
import type { ModelRecord } from '#contracts/records.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Span } from '#runtime/tracing.ts'
import { sizeOf } from './core/prompt.ts'
import type { Choice } from './openai/format.ts'
import { Gathering } from './openai/gather.ts'
import type { RequestHandle, RequestOutcome, ResponseSink, RoutedRequest, UsageTotals } from './request.ts'
import type { Router } from './router.ts'
import { endInner, innerSpan } from './spans.ts'

/** Of the client's request, what every inner one inherits. */
export type Client = Pick<RoutedRequest, 'id' | 'tenant' | 'weight' | 'priority' | 'deadlineMs' | 'arrivedAt' | 'trace'>

export interface InnerRequest extends Pick<RoutedRequest, 'model' | 'works' | 'sampling' | 'hints'> {
  /** Samples of each work; default 1. Choice `work × choices + sample`, as for a client. */
  readonly choices?: number
  /** Text is wanted as it is made; then it is not tried again elsewhere once there was some. */
  readonly streaming?: boolean
  /** To its first token; absent: all that the client has left. Whatever something comes after has `InnerRequests.patienceMs`. */
  readonly patienceMs?: number
}

/** What came of one. `choices` in order of index; of embeddings there are none, and `embeddings` holds a vector per input. */
export type InnerAnswer =
  | {
      readonly kind: 'completed'
      readonly choices: readonly Choice[]
      readonly usage: UsageTotals
      readonly embeddings: readonly (readonly number[])[]
      readonly tookMs: number
    }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'cancelled' }

export class InnerRequests implements RequestHandle {
  readonly #submit: Router['submitInner']
  readonly #clock: Clock
  readonly #client: Client
  readonly #running = new Set<RequestHandle>()
  #isCancelled = false

  constructor(options: { router: Pick<Router, 'submitInner'>; clock: Clock; client: Client }) {
    this.#submit = (request, sink) => options.router.submitInner(request, sink)
    this.#clock = options.clock
    this.#client = options.client
  }

  get isCancelled(): boolean {
    return this.#isCancelled
  }

  /** Of the time to the first token that the client gave; 0 or less: none. */
  get remainingMs(): number {
    const { arrivedAt, deadlineMs } = this.#client
    return arrivedAt + deadlineMs - this.#clock.now()
  }

  /** For what is not the client's answer yet: half of what is left, so that one who never answers leaves time for who comes next. */
  get patienceMs(): number {
    return this.remainingMs / 2
  }

  /** The client left: everything ends, and nothing starts any more. */
  cancel(): void {
    this.#isCancelled = true
    for (const handle of this.#running) handle.cancel()
  }

  /** The whole answer. Never rejects: whatever happens is in what it resolves to. */
  ask(request: InnerRequest): Promise<InnerAnswer> {
    const startedAt = this.#clock.now()
    return new Promise((resolve) => {
      let handle: RequestHandle | null = null
      const sink = new CollectingSink({
        charactersMax: limits.router.innerAnswerCharactersMax,
        tooLarge: () => handle?.cancel(),
        done: (collected) =>
          resolve(collected.kind === 'completed' ? { ...collected, tookMs: this.#clock.now() - startedAt } : collected),
      })
      handle = this.stream(request, sink)
    })
  }

  /** As a client would be answered, piece by piece; the sink is told of the end like any other. */
  stream(request: InnerRequest, sink: ResponseSink): RequestHandle {
    assert(request.works.length <= limits.router.innerWorksMax, `${request.works.length} prompts at once are too many`)
    if (this.#isCancelled) return endedWith(sink, { kind: 'cancelled' })
    const remainingMs = this.remainingMs
    if (remainingMs <= 0) return endedWith(sink, { kind: 'failed', failure: outOfTime(this.#client, request.model) })
    const { choices = 1, streaming = false, patienceMs = remainingMs, ...asked } = request
    const now = this.#clock.now()
    const span = innerSpan(this.#client.trace ?? null, request.model.deployment, now)
    const routed: RoutedRequest = {
      ...this.#client,
      ...asked,
      choices,
      streaming,
      bytes: bytesOf(request.works),
      deadlineMs: Math.min(remainingMs, patienceMs),
      arrivedAt: now,
      trace: span,
    }
    const watched = new WatchedSink(span === null ? sink : this.#traced(sink, span))
    const handle = this.#submit(routed, watched)
    if (watched.hasEnded) return handle
    this.#running.add(handle)
    watched.onEnd = () => this.#running.delete(handle)
    return handle
  }

  #traced(sink: ResponseSink, span: Span): ResponseSink {
    return {
      delta: (firstChoice, choices) => sink.delta(firstChoice, choices),
      restart: (firstChoice, choices) => sink.restart(firstChoice, choices),
      end: (outcome) => {
        endInner(span, outcome, this.#clock.now())
        sink.end(outcome)
      },
    }
  }
}

/** Says when it is over, before it passes that on: whoever hears of the end may already ask the next thing. */
class WatchedSink implements ResponseSink {
  hasEnded = false
  onEnd: (() => void) | null = null
  readonly #sink: ResponseSink

  constructor(sink: ResponseSink) {
    this.#sink = sink
  }

  delta(firstChoice: number, choices: readonly ChoiceDelta[]): void {
    this.#sink.delta(firstChoice, choices)
  }

  restart(firstChoice: number, choices: number): void {
    this.#sink.restart(firstChoice, choices)
  }

  end(outcome: RequestOutcome): void {
    this.hasEnded = true
    this.onEnd?.()
    this.#sink.end(outcome)
  }
}

type Collected =
  | Omit<Extract<InnerAnswer, { kind: 'completed' }>, 'tookMs'>
  | Exclude<InnerAnswer, { kind: 'completed' }>

/** Gathers one answer; what is larger than it may be ends as a failure, and is asked to stop. */
class CollectingSink implements ResponseSink {
  readonly #gathering = new Gathering()
  readonly #options: { charactersMax: number; tooLarge: () => void; done: (collected: Collected) => void }
  #isTooLarge = false

  constructor(options: { charactersMax: number; tooLarge: () => void; done: (collected: Collected) => void }) {
    this.#options = options
  }

  delta(firstChoice: number, choices: readonly ChoiceDelta[]): void {
    if (this.#isTooLarge) return
    this.#gathering.add(firstChoice, choices)
    if (this.#gathering.characters <= this.#options.charactersMax) return
    this.#isTooLarge = true
    this.#gathering.take()
    this.#options.tooLarge()
  }

  restart(firstChoice: number, choices: number): void {
    this.#gathering.drop(firstChoice, choices)
  }

  end(outcome: RequestOutcome): void {
    if (this.#isTooLarge) this.#options.done({ kind: 'failed', failure: tooLargeAnswer(this.#options.charactersMax) })
    else if (outcome.kind === 'completed') this.#options.done({ ...outcome, choices: this.#gathering.take() })
    else this.#options.done(outcome)
  }
}

function endedWith(sink: ResponseSink, outcome: RequestOutcome): RequestHandle {
  sink.end(outcome)
  return { cancel: () => undefined }
}

/** Text as it is in memory; four bytes a token. */
function bytesOf(works: readonly Work[]): number {
  return works.reduce((sum, work) => sum + (isText(work) ? sizeOf(work) : 4 * sizeOf(work)), 0)
}

function isText(work: Work): boolean {
  return work.kind === 'chat' || (work.kind === 'completion' && typeof work.prompt === 'string')
}

function outOfTime({ deadlineMs }: Client, { deployment }: ModelRecord): Failure {
  const message = `nothing was left of ${deadlineMs} ms when it was the turn of ${deployment}`
  return new Failure('expired', message, {
    retry: { kind: 'after', afterMs: limits.queue.retryAfterMsDefault },
  })
}

function tooLargeAnswer(charactersMax: number): Failure {
  return new Failure('aborted', `an answer of more than ${charactersMax} characters cannot be held back; ask for fewer`)
}
