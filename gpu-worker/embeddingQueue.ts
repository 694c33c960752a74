/**
 * Embedding requests, worked off in slices between the steps of the engine, so that they never hold running streams for longer
 * than a prompt chunk would. First come, first served; a request ends once, like any other.
 */
import { Failure } from '#contracts/failure.ts'
import type { DispatchId } from '#contracts/ids.ts'
import type { Cancel, Outcome, Usage } from '#contracts/messages.ts'
import type { Clock } from '#runtime/clock.ts'
import type { ModelRunner } from './modelRunner.ts'
import type { Outbox } from './outbox.ts'

export interface EmbedRequest {
  readonly id: DispatchId
  readonly inputs: readonly (readonly number[])[]
  readonly deadlineMs: number
}

interface Pending {
  readonly request: EmbedRequest
  readonly acceptedAt: number
  readonly vectors: Float32Array[]
  startedAt: number | null
  cancelled: Cancel['reason'] | null
}

export class EmbeddingQueue {
  readonly #runner: ModelRunner
  readonly #outbox: Outbox
  readonly #clock: Clock
  readonly #sliceTokensMax: number
  readonly #onChange: () => void
  readonly #pending: Pending[] = []

  constructor(options: {
    runner: ModelRunner
    outbox: Outbox
    clock: Clock
    sliceTokensMax: number
    onChange: () => void
  }) {
    this.#onChange = options.onChange
    this.#runner = options.runner
    this.#outbox = options.outbox
    this.#clock = options.clock
    this.#sliceTokensMax = options.sliceTokensMax
  }

  get size(): number {
    return this.#pending.length
  }

  ids(): DispatchId[] {
    return this.#pending.map(({ request }) => request.id)
  }

  submit(request: EmbedRequest): void {
    this.#onChange()
    this.#pending.push({
      request,
      acceptedAt: this.#clock.now(),
      vectors: [],
      startedAt: null,
      cancelled: null,
    })
  }

  cancel(id: DispatchId, reason: Cancel['reason']): boolean {
    const pending = this.#pending.find(({ request }) => request.id === id)
    if (pending === undefined) return false
    pending.cancelled ??= reason
    return true
  }

  /** The next slice of the oldest request. Never beside a decode. */
  async runSlice(): Promise<void> {
    const pending = this.#pending[0]
    if (pending === undefined || this.#endsEarly(pending)) return
    pending.startedAt ??= this.#clock.now()
    try {
      pending.vectors.push(...(await this.#runner.embed(this.#slice(pending))))
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      return this.#end(pending, { kind: 'failed', failure: error.toMessage() })
    }
    if (pending.vectors.length < pending.request.inputs.length || this.#endsEarly(pending)) return
    this.#end(pending, { kind: 'completed', usage: this.#usage(pending), embeddings: pending.vectors.map(toNumbers) })
  }

  #endsEarly(pending: Pending): boolean {
    const { request, acceptedAt, cancelled } = pending
    const waitedMs = this.#clock.now() - acceptedAt
    if (cancelled !== null) this.#end(pending, { kind: 'cancelled', usage: this.#usage(pending) })
    else if (waitedMs >= request.deadlineMs)
      this.#end(pending, { kind: 'failed', failure: expired(waitedMs, request.deadlineMs).toMessage() })
    else return false
    return true
  }

  #slice({ request, vectors }: Pending): (readonly number[])[] {
    const slice: (readonly number[])[] = []
    let tokens = 0
    for (const input of request.inputs.slice(vectors.length)) {
      if (slice.length > 0 && tokens + input.length > this.#sliceTokensMax) break
      slice.push(input)
      tokens += input.length
    }
    return slice
  }

  #usage({ request, acceptedAt, startedAt }: Pending): Usage {
    const now = this.#clock.now()
    return {
      promptTokens: request.inputs.reduce((sum, input) => sum + input.length, 0),
      completionTokens: 0,
      cachedTokens: 0,
      draftTokens: 0,
      acceptedTokens: 0,
      waitMs: (startedAt ?? now) - acceptedAt,
      promptMs: startedAt === null ? 0 : now - startedAt,
      generationMs: 0,
    }
  }

  #end(pending: Pending, outcome: Outcome): void {
    this.#pending.splice(this.#pending.indexOf(pending), 1)
    this.#outbox.final(pending.request.id, [], outcome)
    this.#onChange()
  }
}

export function expired(waitedMs: number, deadlineMs: number): Failure {
  return new Failure(
    'expired',
    `no first token within the deadline of ${Math.round(deadlineMs)} ms (waited ${Math.round(waitedMs)} ms at the worker)`,
    { retry: { kind: 'never' } },
  )
}

/** Eight digits say what a 32-bit float holds, in half the bytes of its 64-bit spelling. */
function toNumbers(vector: Float32Array): number[] {
  return Array.from(vector, (value) => Number(value.toPrecision(8)))
}
