import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Failure } from '#contracts/failure.ts'
import { matches, parseGbnf } from './gbnf.ts'
import { inexpressibleKeywords } from './keywords.ts'
import { jsonObjectGrammar, jsonSchemaToGrammar } from './jsonSchema.ts'
import { responseGrammar } from './responseGrammar.ts'

function acceptorOf(schema: unknown): (value: unknown) => boolean {
  const grammar = parseGbnf(jsonSchemaToGrammar(schema))
  return (value) => matches(grammar, JSON.stringify(value)) && matches(grammar, JSON.stringify(value, null, 2))
}

function refusalOf(schema: unknown): string {
  try {
    jsonSchemaToGrammar(schema)
  } catch (error) {
    if (error instanceof Failure && error.code === 'invalid-request') {
      expect(error.param).toBe('response_format.json_schema.schema')
      return error.message
    }
    throw error
  }
  return 'not refused'
}

test('any JSON object is accepted by the grammar of json_object, and nothing else', () => {
  const grammar = parseGbnf(jsonObjectGrammar())
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), (value) => {
      expect(matches(grammar, JSON.stringify(value))).toBe(true)
      expect(matches(grammar, JSON.stringify(value, null, 2))).toBe(true)
    }),
    { seed: 1, numRuns: 60 },
  )
  for (const text of [
    '',
    '[]',
    '1',
    '{',
    '{"a"}',
    '{"a":1,}',
    '{a:1}',
    '{"a":01}',
    '{"a":"\n"}',
    '{"a":1} x',
    '{"a":.5}',
    '{"a":"\\x"}',
  ]) {
    expect(matches(grammar, text)).toBe(false)
  }
})

test('a response format of text needs no grammar', () => {
  expect(responseGrammar({ type: 'text' })).toBeNull()
  expect(responseGrammar({ type: 'json_object' })).toBe(jsonObjectGrammar())
  expect(responseGrammar({ type: 'json_schema', schema: { type: 'null' } })).toContain('"null"')
})

test('properties come in the order of the schema, required ones always, optional ones or not', () => {
  const accepts = acceptorOf({
    type: 'object',
    properties: {
      name: { type: 'string' },
      age: { type: 'integer', minimum: 0, maximum: 150 },
      mail: { type: 'string' },
    },
    required: ['age'],
  })
  expect(accepts({ name: 'Ada', age: 36, mail: 'a@b' })).toBe(true)
  expect(accepts({ age: 0 })).toBe(true)
  expect(accepts({ name: 'Ada', age: 150 })).toBe(true)
  expect(accepts({ name: 'Ada' })).toBe(false)
  expect(accepts({ age: 151 })).toBe(false)
  expect(accepts({ age: 1, name: 'Ada' })).toBe(false)
  expect(accepts({ age: 1, other: true })).toBe(false)
})

test('undeclared properties appear where the schema says so, and never under a declared name', () => {
  const accepts = acceptorOf({
    properties: { a: { type: 'integer' }, ab: { type: 'integer' }, 'é"\\': { type: 'integer' } },
    type: 'object',
    additionalProperties: { type: 'string' },
  })
  expect(accepts({ a: 1, ab: 2, abc: 'x', b: 'y', '': 'z', '"': 'w' })).toBe(false)
  expect(accepts({ a: 1, ab: 2, abc: 'x', b: 'y', '': 'z', é: 'w' })).toBe(true)
  expect(accepts({ a: 'x' })).toBe(false)
  expect(accepts({ ab: 'x' })).toBe(false)
  expect(accepts({ 'é"\\': 'x' })).toBe(false)
  const grammar = parseGbnf(
    jsonSchemaToGrammar({ properties: { a: { type: 'null' } }, type: 'object', additionalProperties: true }),
  )
  expect(matches(grammar, '{"\\u0061":1}')).toBe(false)
})

test('every subset of optional properties is accepted', () => {
  const names = ['a', 'b', 'c', 'd', 'e']
  for (const required of [[], ['a'], ['c'], ['e'], ['b', 'd']]) {
    const accepts = acceptorOf({
      type: 'object',
      properties: Object.fromEntries(names.map((name) => [name, { type: 'null' }])),
      required,
    })
    for (let bits = 0; bits < 32; bits++) {
      const present = names.filter((_, i) => (bits >> i) % 2 === 1)
      expect(accepts(Object.fromEntries(present.map((name) => [name, null])))).toBe(
        required.every((name) => present.includes(name)),
      )
    }
  }
})

test('recursive schemas are rules that refer to themselves', () => {
  const accepts = acceptorOf({
    $ref: '#/$defs/node',
    $defs: {
      node: {
        type: 'object',
        properties: { value: { type: 'integer' }, next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } },
        required: ['value', 'next'],
      },
    },
  })
  expect(accepts({ value: 1, next: { value: 2, next: null } })).toBe(true)
  expect(accepts({ value: 1, next: { value: 2 } })).toBe(false)
})

test('allOf adds up, anyOf offers, oneOf offers what can be told apart', () => {
  const both = acceptorOf({
    allOf: [{ $ref: '#/$defs/a' }, { properties: { b: { type: 'integer', maximum: 5 } } }],
    properties: { b: { minimum: 3 } },
    required: ['a', 'b'],
    $defs: { a: { type: 'object', properties: { a: { type: 'string' } } } },
  })
  expect(both({ b: 4, a: 'x' })).toBe(true)
  expect(both({ b: 6, a: 'x' })).toBe(false)
  const shape = acceptorOf({
    oneOf: [
      {
        type: 'object',
        properties: { kind: { const: 'circle' }, radius: { type: 'number' } },
        required: ['kind', 'radius'],
      },
      {
        type: 'object',
        properties: { kind: { const: 'square' }, side: { type: 'number' } },
        required: ['kind', 'side'],
      },
    ],
  })
  expect(shape({ kind: 'circle', radius: 1.5 })).toBe(true)
  expect(shape({ kind: 'circle', side: 1 })).toBe(false)
  expect(
    refusalOf({
      oneOf: [
        { type: 'string', minLength: 1 },
        { type: 'string', maxLength: 3 },
      ],
    }),
  ).toMatch(/oneOf/)
})

test('constants keep only what the other keywords allow', () => {
  const accepts = acceptorOf({ enum: ['a', 'long', 3, null, { x: [1] }], type: ['string', 'object'], maxLength: 2 })
  expect(['a', 'long', 3, null, { x: [1] }].map(accepts)).toEqual([true, false, false, false, true])
})

test('arrays have their prefix, their items and their counts', () => {
  const accepts = acceptorOf({
    type: 'array',
    prefixItems: [{ type: 'string' }, { type: 'integer' }],
    items: { type: 'null' },
    minItems: 1,
    maxItems: 4,
  })
  expect(
    [[], ['a'], ['a', 1], ['a', 1, null], ['a', 1, null, null], ['a', 1, null, null, null], [1], ['a', null]].map(
      accepts,
    ),
  ).toEqual([false, true, true, true, true, false, false, false])
})

test('lengths count characters, whatever they are', () => {
  const accepts = acceptorOf({ type: 'string', minLength: 2, maxLength: 3 })
  expect(['a', 'ab', '漢\u{1F600}', 'a\nb', 'abcd', '"\\"'].map(accepts)).toEqual([
    false,
    true,
    true,
    true,
    false,
    true,
  ])
})

test('nullable adds null', () => {
  const accepts = acceptorOf({ type: 'string', enum: ['a'], nullable: true })
  expect(['a', null, 'b'].map(accepts)).toEqual([true, true, false])
})

test('a property may have any name', () => {
  const schema = JSON.parse(
    '{"type":"object","properties":{"__proto__":{"type":"integer"},"constructor":{"type":"null"},"a/b~c%":{"type":"null"}},"required":["__proto__","constructor","a/b~c%"]}',
  ) as unknown
  const grammar = parseGbnf(jsonSchemaToGrammar(schema))
  expect(matches(grammar, '{"__proto__":1,"constructor":null,"a/b~c%":null}')).toBe(true)
  expect(matches(grammar, '{"__proto__":null,"constructor":null,"a/b~c%":null}')).toBe(false)
})

test('a keyword that a grammar cannot enforce is refused with its place', () => {
  const keywords = {
    not: { type: 'null' },
    if: {},
    contains: {},
    uniqueItems: true,
    patternProperties: { a: {} },
    dependentRequired: { a: ['b'] },
    unevaluatedItems: false,
    $dynamicRef: '#a',
  }
  for (const [keyword, value] of Object.entries(keywords)) {
    const schema = { type: 'object', properties: { 'a b': { [keyword]: value } } }
    expect(refusalOf(schema)).toContain(`#/properties/a%20b: "${keyword}"`)
  }
})

test('the reference names every keyword that is refused', () => {
  const reference = readFileSync(new URL('../../../docs/structured-output.md', import.meta.url), 'utf8')
  for (const keyword of inexpressibleKeywords) expect(reference).toContain(`\`${keyword}\``)
})

test('what no value satisfies, or no value can end, is refused', () => {
  for (const schema of [
    false,
    { type: 'string', enum: [1] },
    { allOf: [{ type: 'string' }, { type: 'null' }] },
    { type: 'integer', minimum: 3, maximum: 2 },
    { type: 'object', required: ['a'], properties: { a: false } },
  ]) {
    expect(refusalOf(schema)).toMatch(/allows no value/)
  }
  expect(refusalOf({ type: 'object', properties: { next: { $ref: '#' } }, required: ['next'] })).toMatch(
    /no value of it can end/,
  )
})
