/**
 * Spans: what happened to one request, when, and beneath what. Kept only where the trace is sampled; everybody else gets `null` and does
 * nothing. An ended span goes to the exporter, which is bounded and never makes anybody wait.
 *
 * Times are those of `Clock`; the exporter alone knows the wall clock. A span is ended once; what is set later is lost.
 */
import { isSampled, type TraceContext } from './traceContext.ts'

export type AttributeValue = string | number | boolean | readonly string[] | readonly number[]
/** Undefined: not known, and not sent. */
export type Attributes = Readonly<Record<string, AttributeValue | undefined>>
export type SpanKind = 'internal' | 'server' | 'client'

export interface EndedSpan {
  readonly context: TraceContext
  readonly parentId: string | null
  readonly name: string
  readonly kind: SpanKind
  readonly startedAt: number
  readonly endedAt: number
  readonly attributes: Attributes
  /** Why it failed; null: it did not. */
  readonly failure: string | null
}

/** Takes ended spans; never throws, never waits. */
export type TakeSpan = (span: EndedSpan) => void

export interface StartSpan {
  readonly name: string
  readonly kind?: SpanKind
  readonly at: number
  readonly attributes?: Attributes
}

export class Tracer {
  readonly #take: TakeSpan
  readonly #random: () => number
  readonly #ratio: number

  /** `ratio`: of the traces that begin here. One that began elsewhere is kept exactly where it is sampled there. */
  constructor(options: { take: TakeSpan; random: () => number; ratio: number }) {
    this.#take = options.take
    this.#random = options.random
    this.#ratio = options.ratio
  }

  /** Null: not sampled. */
  begin(parent: TraceContext | null, start: StartSpan): Span | null {
    const traceId = parent?.traceId ?? this.#hex(4)
    const sampled = parent?.sampled ?? isSampled(traceId, this.#ratio)
    if (!sampled) return null
    return new Span({ tracer: this, traceId, parentId: parent?.spanId ?? null, start })
  }

  newSpanId(): string {
    return this.#hex(2)
  }

  take(span: EndedSpan): void {
    this.#take(span)
  }

  /** So many times 32 random bits; the lowest is set, because nothing but zeros is no id. */
  #hex(words: number): string {
    const drawn = Array.from({ length: words }, () => Math.floor(this.#random() * 0x1_00_00_00_00))
    const last = drawn.length - 1
    drawn[last] = ((drawn[last] ?? 0) | 1) >>> 0
    return drawn.map((word) => word.toString(16).padStart(8, '0')).join('')
  }
}

export class Span {
  readonly context: TraceContext
  readonly #tracer: Tracer
  readonly #parentId: string | null
  readonly #start: StartSpan
  #attributes: Attributes
  #failure: string | null = null
  #isEnded = false

  constructor(options: { tracer: Tracer; traceId: string; parentId: string | null; start: StartSpan }) {
    const { tracer, traceId, start } = options
    this.#tracer = tracer
    this.context = { traceId, spanId: tracer.newSpanId(), sampled: true }
    this.#parentId = options.parentId
    this.#start = start
    this.#attributes = start.attributes ?? {}
  }

  child(start: StartSpan): Span {
    const { traceId, spanId } = this.context
    return new Span({ tracer: this.#tracer, traceId, parentId: spanId, start })
  }

  set(attributes: Attributes): void {
    this.#attributes = { ...this.#attributes, ...attributes }
  }

  fail(reason: string): void {
    this.#failure = reason
  }

  end(at: number): void {
    if (this.#isEnded) return
    this.#isEnded = true
    const { name, kind = 'internal', at: startedAt } = this.#start
    this.#tracer.take({
      context: this.context,
      parentId: this.#parentId,
      name,
      kind,
      startedAt,
      endedAt: Math.max(startedAt, at),
      attributes: this.#attributes,
      failure: this.#failure,
    })
  }
}
