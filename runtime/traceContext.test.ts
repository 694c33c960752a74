import { describe, expect, test } from 'vitest'
import { formatTraceparent, isSampled, parseTraceparent } from './traceContext.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const spanId = '00f067aa0ba902b7'

describe('traceparent', () => {
  test('comes back as it was said', () => {
    for (const flags of ['00', '01']) {
      const header = `00-${traceId}-${spanId}-${flags}`
      const context = parseTraceparent(header)
      expect(context).toEqual({ traceId, spanId, sampled: flags === '01' })
      expect(context === null ? '' : formatTraceparent(context)).toBe(header)
    }
  })

  test('of a later version the part that is known is read, whatever follows', () => {
    expect(parseTraceparent(`cc-${traceId}-${spanId}-03-what-comes`)).toEqual({ traceId, spanId, sampled: true })
  })

  test.each([
    undefined,
    '',
    'nonsense',
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId.slice(1)}-${spanId}-01`,
  ])('%s is no context', (header) => {
    expect(parseTraceparent(header)).toBeNull()
  })
})

test('a share of the traces is kept, and it is the same traces for everybody', () => {
  const ids = Array.from({ length: 2_000 }, (_, i) => ((i * 0x9e37_79b1) >>> 0).toString(16).padStart(8, '0').repeat(4))
  const kept = ids.filter((id) => isSampled(id, 0.25))
  expect(kept.length / ids.length).toBeCloseTo(0.25, 1)
  expect(kept.every((id) => isSampled(id, 0.5))).toBe(true)
  expect(ids.every((id) => isSampled(id, 1))).toBe(true)
  expect(ids.some((id) => isSampled(id, 0))).toBe(false)
})
