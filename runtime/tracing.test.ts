import { describe, expect, test } from 'vitest'
import { mulberry32 } from '#test/simulate/random.ts'
import { otlpBody } from './otlpSpans.ts'
import { type EndedSpan, Tracer } from './tracing.ts'

function tracing(ratio = 1) {
  const ended: EndedSpan[] = []
  return { ended, tracer: new Tracer({ take: (span) => ended.push(span), random: mulberry32(7), ratio }) }
}
const remote = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', sampled: true }

describe('spans', () => {
  test('one that a client began goes on under its id', () => {
    const { tracer, ended } = tracing(0)
    const span = tracer.begin(remote, { name: 'request', at: 5, kind: 'server' })
    span?.child({ name: 'queue', at: 6 }).end(7)
    span?.end(9)
    expect(ended.map(({ name, parentId, context }) => [name, parentId, context.traceId])).toEqual([
      ['queue', span?.context.spanId, remote.traceId],
      ['request', remote.spanId, remote.traceId],
    ])
  })

  test('what the client does not sample is nothing here', () => {
    const { tracer } = tracing(1)
    expect(tracer.begin({ ...remote, sampled: false }, { name: 'request', at: 0 })).toBeNull()
  })

  test('a share of what begins here is kept, under ids that are legal and differ', () => {
    const { tracer } = tracing(0.5)
    const spans = Array.from({ length: 1_000 }, () => tracer.begin(null, { name: 'request', at: 0 }))
    const kept = spans.filter((span) => span !== null)
    expect(kept.length).toBeGreaterThan(400)
    expect(kept.length).toBeLessThan(600)
    expect(new Set(kept.map(({ context }) => context.traceId)).size).toBe(kept.length)
    for (const { context } of kept) {
      expect(context.traceId).toMatch(/^(?!0+$)[0-9a-f]{32}$/)
      expect(context.spanId).toMatch(/^(?!0+$)[0-9a-f]{16}$/)
    }
  })

  test('a span ends once, and never before it began', () => {
    const { tracer, ended } = tracing()
    const span = tracer.begin(null, { name: 'request', at: 5 })
    span?.end(3)
    span?.end(8)
    expect(ended).toMatchObject([{ startedAt: 5, endedAt: 5 }])
  })
})

test('the JSON form of OTLP: 64-bit numbers as text, every kind of value by its own name', () => {
  const { tracer, ended } = tracing()
  const span = tracer.begin(remote, {
    name: 'request',
    at: 1.5,
    kind: 'server',
    attributes: { a: 'text', left: undefined },
  })
  span?.set({ whole: 3, part: 0.25, yes: true, list: ['x', 'y'] })
  span?.fail('expired')
  span?.end(2)
  const source = { resource: { 'service.name': 'router' }, scope: { name: 'paceline', version: '1' }, epochMs: 1.7e12 }
  expect(JSON.parse(otlpBody(ended, source))).toEqual({
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 'router' } }] },
        scopeSpans: [
          {
            scope: { name: 'paceline', version: '1' },
            spans: [
              {
                traceId: remote.traceId,
                spanId: span?.context.spanId,
                parentSpanId: remote.spanId,
                flags: 1,
                name: 'request',
                kind: 2,
                startTimeUnixNano: '1700000000001500000',
                endTimeUnixNano: '1700000000002000000',
                attributes: [
                  { key: 'a', value: { stringValue: 'text' } },
                  { key: 'whole', value: { intValue: '3' } },
                  { key: 'part', value: { doubleValue: 0.25 } },
                  { key: 'yes', value: { boolValue: true } },
                  { key: 'list', value: { arrayValue: { values: [{ stringValue: 'x' }, { stringValue: 'y' }] } } },
                ],
                status: { code: 2, message: 'expired' },
              },
            ],
          },
        ],
      },
    ],
  })
})
