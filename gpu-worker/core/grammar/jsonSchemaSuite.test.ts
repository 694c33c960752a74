/**
 * The converter against the public JSON-schema test suite (draft 4, as published on npm).
 *
 * Undeclared properties are allowed here, as the standard has it. What a grammar accepts must be valid, always; what is valid must
 * be accepted but for the listed cases, in which a grammar is narrower on purpose.
 */
import suite from 'json-schema-test-suite'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { Failure } from '#contracts/failure.ts'
import { type Grammar, matches, parseGbnf } from './gbnf.ts'
import { jsonSchemaToGrammar } from './jsonSchema.ts'

const Case = z.object({ description: z.string(), data: z.unknown(), valid: z.boolean() })
const Group = z.object({ description: z.string(), schema: z.unknown(), tests: z.array(Case) })
const files = z.array(z.object({ name: z.string(), schemas: z.array(Group) })).parse(suite.draft4())
const groups = files.flatMap((file) => file.schemas.map((group) => ({ ...group, file: file.name })))

function convert(schema: unknown): Grammar | null {
  try {
    return parseGbnf(jsonSchemaToGrammar(schema, { undeclaredProperties: 'allow' }))
  } catch (error) {
    if (error instanceof Failure && error.code === 'invalid-request') return null
    throw error
  }
}

const converted = groups.flatMap((group) => {
  const grammar = convert(group.schema)
  return grammar === null ? [] : [{ ...group, grammar }]
})

/** Compact and pretty: both are what models write. */
const textsOf = (data: unknown) => [JSON.stringify(data), JSON.stringify(data, null, 2)]

function cases(isValid: boolean) {
  return converted.flatMap(({ file, description, grammar, tests }) =>
    tests
      .filter(({ valid }) => valid === isValid)
      .map((one) => ({
        name: `${file}: ${description}: ${one.description}`,
        accepted: textsOf(one.data).map((text) => matches(grammar, text)),
      })),
  )
}

test('most schemas of the suite can be expressed, the others are refused by name', () => {
  const refused = new Set(groups.filter((group) => convert(group.schema) === null).map(({ file }) => file))
  expect([...refused].sort()).toMatchInlineSnapshot(`
    [
      "additionalProperties",
      "definitions",
      "dependencies",
      "multipleOf",
      "not",
      "oneOf",
      "patternProperties",
      "properties",
      "ref",
      "refRemote",
      "uniqueItems",
    ]
  `)
  expect({ schemas: groups.length, converted: converted.length }).toMatchInlineSnapshot(`
    {
      "converted": 65,
      "schemas": 89,
    }
  `)
})

test('nothing that a schema forbids is accepted', () => {
  const wrong = cases(false).filter(({ accepted }) => accepted.includes(true))
  // Formats that a grammar does not hold are annotations, as the standard has it.
  expect(wrong.map(({ name }) => name)).toMatchInlineSnapshot(`
    [
      "format: validation of URIs: an invalid URI",
      "format: validation of URIs: an invalid URI though valid URI reference",
      "zeroTerminatedFloats: some languages do not distinguish between different types of numeric value: a float is not an integer even without fractional part",
    ]
  `)
})

test('what a schema allows is accepted, compact and pretty, but for cases in which the grammar is narrower', () => {
  const missing = cases(true).filter(({ accepted }) => accepted.includes(false))
  expect(missing.map(({ name }) => name)).toMatchInlineSnapshot(`
    [
      "allOf: allOf: allOf",
      "allOf: allOf with base schema: valid",
      "bignum: integer: a bignum is an integer",
      "bignum: integer: a negative bignum is an integer",
    ]
  `)
  expect({ valid: cases(true).length, invalid: cases(false).length }).toMatchInlineSnapshot(`
    {
      "invalid": 111,
      "valid": 93,
    }
  `)
})
