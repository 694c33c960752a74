/**
 * Messages as bytes: JSON out, JSON plus schema in. The one place where bytes from another process become a trusted type.
 */
import type * as z from 'zod'
import { Failure } from '#contracts/failure.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

export function encode(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value))
}

/** The message in `bytes`. Throws `Failure('message-invalid')` that names the first field that is wrong. */
export function decode<S extends z.ZodType>(schema: S, bytes: Uint8Array): z.output<S> {
  return parse(schema, parseJson(bytes), bytes)
}

/** The same for a message that arrives all the time: the check by hand answers, the schema says what is wrong. */
export function decodeChecked<T>(
  isMessage: (value: unknown) => value is T,
  schema: z.ZodType<T>,
  bytes: Uint8Array,
): T {
  const value = parseJson(bytes)
  return isMessage(value) ? value : parse(schema, value, bytes)
}

function parse<S extends z.ZodType>(schema: S, value: unknown, bytes: Uint8Array): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const path = issue?.path.join('.') ?? ''
  throw new Failure(
    'message-invalid',
    `message of ${bytes.length} bytes: ${path || 'value'}: ${issue?.message ?? 'invalid'}`,
  )
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes))
  } catch (cause) {
    throw new Failure('message-invalid', `message of ${bytes.length} bytes is not UTF-8 JSON`, { cause })
  }
}
