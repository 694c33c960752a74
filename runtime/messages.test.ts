import { expect, test } from 'vitest'
import * as z from 'zod'
import { Failure } from '#contracts/failure.ts'
import { decode, encode } from './messages.ts'

const Schema = z.object({ name: z.string(), inner: z.object({ count: z.int() }) })

test('a message survives the way through bytes', () => {
  const value = { name: 'Zürich 🚆', inner: { count: 3 } }
  expect(decode(Schema, encode(value))).toEqual(value)
})

test.each([
  ['broken JSON', new TextEncoder().encode('{"name":'), 'not UTF-8 JSON'],
  ['invalid UTF-8', Uint8Array.of(0x22, 0xff, 0x22), 'not UTF-8 JSON'],
  ['a wrong field', encode({ name: 'x', inner: { count: 'three' } }), 'inner.count'],
])('%s is a Failure that says where', (_, bytes, text) => {
  expect(() => decode(Schema, bytes)).toThrow(Failure)
  expect(() => decode(Schema, bytes)).toThrow(text)
})
