import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { limits } from './limits.ts'
import { Assembler, parsePart, split } from './parts.ts'

test('any message comes together again whatever the order and repetition of its parts', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 4_000 }),
      fc.integer({ min: 40, max: 300 }),
      fc.integer(),
      (bytes, max, seed) => {
        const payloads = split('d1', bytes, max)
        if (payloads.length === 1) {
          expect(payloads[0]).toEqual(bytes)
          return
        }
        const assembler = new Assembler()
        const order = [...payloads, ...payloads.slice(0, 2)].sort(
          (a, b) => (((a[5] ?? 0) * seed) % 7) - (((b[5] ?? 0) * seed) % 7),
        )
        const whole = order.map((payload) => {
          expect(payload.length).toBeLessThanOrEqual(max)
          const part = parsePart(payload)
          return part === null ? null : assembler.add(part, 0)
        })
        expect(whole.filter((x) => x !== null).map((x) => Buffer.from(x))).toContainEqual(Buffer.from(bytes))
      },
    ),
  )
})

test('a JSON message is never mistaken for a part', () => {
  expect(parsePart(new TextEncoder().encode('{"id":"x","more":true}'))).toBeNull()
})

test('parts that never complete are dropped by age and by bytes', () => {
  const assembler = new Assembler()
  const big = new Uint8Array(limits.nats.payloadBytesMax * 3)
  for (let i = 0; i < 100; i++) {
    const part = parsePart(split(`d${i}`, big)[0] ?? new Uint8Array())
    if (part !== null) assembler.add(part, i)
  }
  expect(assembler.bytes).toBeLessThanOrEqual(limits.nats.partsBytesMax)
  const late = parsePart(split('late', big)[0] ?? new Uint8Array())
  if (late !== null) assembler.add(late, limits.nats.partsAgeMsMax + 1_000)
  expect(assembler.bytes).toBeLessThanOrEqual(limits.nats.payloadBytesMax)
})
