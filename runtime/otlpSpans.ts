/** Spans in OTLP's JSON form (`ExportTraceServiceRequest`). Pure. */
import type { Attributes, AttributeValue, EndedSpan, SpanKind } from './tracing.ts'

export interface SpanSource {
  /** Of the process: `service.name` and the like. */
  readonly resource: Attributes
  /** Who made the spans. */
  readonly scope: { readonly name: string; readonly version: string }
  /** Milliseconds since 1970 at the clock's 0. */
  readonly epochMs: number
}

export function otlpBody(spans: readonly EndedSpan[], source: SpanSource): string {
  const { resource, scope, epochMs } = source
  const scopeSpans = [{ scope, spans: spans.map((span) => otlpSpan(span, epochMs)) }]
  return JSON.stringify({ resourceSpans: [{ resource: { attributes: keyValues(resource) }, scopeSpans }] })
}

/** The numbers of OTLP. */
const kinds: Readonly<Record<SpanKind, number>> = { internal: 1, server: 2, client: 3 }
const statusError = 2
const flagSampled = 1

function otlpSpan(span: EndedSpan, epochMs: number) {
  const { context, parentId, name, kind, startedAt, endedAt, attributes, failure } = span
  return {
    traceId: context.traceId,
    spanId: context.spanId,
    ...(parentId === null ? {} : { parentSpanId: parentId }),
    flags: flagSampled,
    name,
    kind: kinds[kind],
    startTimeUnixNano: nanoseconds(epochMs + startedAt),
    endTimeUnixNano: nanoseconds(epochMs + endedAt),
    attributes: keyValues(attributes),
    ...(failure === null ? {} : { status: { code: statusError, message: failure } }),
  }
}

/** 64 bits are text in JSON. A number of milliseconds since 1970 is exact to the microsecond, not to the nanosecond. */
function nanoseconds(ms: number): string {
  return `${Math.round(ms * 1_000)}000`
}

function keyValues(attributes: Attributes) {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: anyValue(value) }],
  )
}

function anyValue(value: AttributeValue): object {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value }
  return { arrayValue: { values: value.map(anyValue) } }
}
