/**
 * Hostile requests made from the request schemas themselves: mostly right in form, with one or more fields turned bad.
 *
 * `fromSchema` reads a zod schema through its JSON schema, so a new field is fuzzed as soon as it exists. Hostile values are those
 * that break servers: huge and special numbers, wrong types, very long and very deep things, keys of Object.prototype.
 */
import fc from 'fast-check'
import * as z from 'zod'

interface Schema {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
}

/** Bodies for one endpoint. `model` and the sizes of answers are kept in bounds where a body is valid, so that a soak ends. */
export function fromSchema(schema: z.ZodType, fixed: Readonly<Record<string, unknown>>): fc.Arbitrary<unknown> {
  const root = z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' }) as Schema
  const properties = Object.entries(root.properties ?? {})
  const fields = properties.map(([name, schema]) => ({ name, schema }))
  const all = fc.record(recordOf(fields), { requiredKeys: [] })
  // Few fields at a time: with all of them, one that is refused hides the rest.
  const some = fc.subarray(fields, { maxLength: 4 }).chain((chosen) => fc.record(recordOf(chosen)))
  const broken = fc.tuple(fc.constantFrom(...properties), hostile).map(([[name], value]) => ({ [name]: value }))
  const alien = fc.dictionary(fc.constantFrom('__proto__', 'constructor', 'x', 'messages', 'prompt'), hostile, {
    maxKeys: 2,
  })
  const merged = (...parts: fc.Arbitrary<object>[]) =>
    fc.tuple(...parts).map((values) => Object.assign({}, fixed, ...values) as unknown)
  return fc.oneof(
    { weight: 5, arbitrary: merged(some) },
    { weight: 2, arbitrary: merged(some, broken) },
    { weight: 2, arbitrary: merged(broken) },
    { weight: 1, arbitrary: merged(all) },
    { weight: 1, arbitrary: merged(alien) },
    { weight: 1, arbitrary: hostile },
  )
}

const recordOf = (fields: readonly { name: string; schema: Schema }[]): Record<string, fc.Arbitrary<unknown>> =>
  Object.fromEntries(fields.map(({ name, schema }) => [name, valueOf(schema)]))

function valueOf(schema: Schema): fc.Arbitrary<unknown> {
  const choices = schema.anyOf ?? schema.oneOf
  if (choices !== undefined && choices.length > 0) return fc.oneof(...choices.map(valueOf))
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum !== undefined && schema.enum.length > 0) return fc.constantFrom(...schema.enum)
  switch (schema.type) {
    case 'string':
      return fc.string({ maxLength: 40, unit: 'binary' })
    case 'integer':
      return fc.integer({ min: Math.max(-5, schema.minimum ?? -5), max: Math.min(20, schema.maximum ?? 20) })
    case 'number':
      return fc.double({ min: schema.minimum ?? -3, max: schema.maximum ?? 3, noNaN: true })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fc.array(valueOf(schema.items ?? {}), { minLength: Math.min(2, schema.minItems ?? 0), maxLength: 4 })
    case 'object':
      return fc.record(
        Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, each]) => [name, valueOf(each)])),
      )
    case undefined:
    default:
      return fc.jsonValue({ maxDepth: 3 })
  }
}

const nested = (depth: number, wrap: (inner: unknown) => unknown): unknown => {
  let value: unknown = 1
  for (let level = 0; level < depth; level += 1) value = wrap(value)
  return value
}

const hostile: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, '', 0, -1, [], {}, [[]], [null], 'null', '\u0000', '\ud800', '𝕏', -0),
  fc.constantFrom(1e308, -1e308, 5e-324, 2 ** 53, -(2 ** 53), 2 ** 31, 2 ** 32, 1.5, 0.1 + 0.2),
  fc.integer(),
  fc.double({ noDefaultInfinity: true, noNaN: true }),
  fc.string({ maxLength: 300, unit: 'binary' }),
  fc.integer({ min: 1, max: 20_000 }).map((length) => 'A'.repeat(length)),
  fc.jsonValue({ maxDepth: 4 }),
  fc.array(fc.integer({ min: -2, max: 200_000 }), { maxLength: 200 }),
  fc.integer({ min: 1, max: 200 }).map((depth) => nested(depth, (inner) => [inner])),
  fc.integer({ min: 1, max: 200 }).map((depth) => nested(depth, (inner) => ({ properties: { a: inner } }))),
  fc.dictionary(
    fc.constantFrom('__proto__', 'constructor', 'prototype', 'toString', 'length', '1', '-1'),
    fc.jsonValue(),
  ),
  fc.constantFrom(
    { type: 'json_object' },
    { type: 'json_schema' },
    { type: 'json_schema', json_schema: { name: 'a', schema: { $ref: '#' } } },
    { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'array', minItems: 1e9 } } },
    { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'string', pattern: '(a+)+$' } } },
    { type: 'json_schema', json_schema: { name: 'a', schema: { enum: [] } } },
  ),
)
