import { expect, test } from 'vitest'
import * as z from 'zod'
import { Failure } from '#contracts/failure.ts'
import { decode, decodeChecked, encode } from './messages.ts'

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

test('a message that a check by hand knows is not judged by its schema; any other is, and the schema says what is wrong', () => {
  const isKnown = (value: unknown): value is z.infer<typeof Schema> => JSON.stringify(value) === '{"quick":true}'
  expect(decodeChecked(isKnown, Schema, encode({ quick: true }))).toEqual({ quick: true })
  const value = { name: 'a', inner: { count: 1 } }
  expect(decodeChecked(isKnown, Schema, encode(value))).toEqual(value)
  expect(() => decodeChecked(isKnown, Schema, encode({ name: 'a', inner: {} }))).toThrow('inner.count')
})
