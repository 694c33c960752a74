import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { parseGbnf } from './gbnf.ts'
import { jsonSchemaToGrammar } from './jsonSchema.ts'

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

describe('hostile schemas are refused at once', () => {
  const deep = (levels: number) => JSON.parse(`${'{"items":'.repeat(levels)}{}${'}'.repeat(levels)}`) as unknown

  test.each([
    ['nested 10,000 deep', deep(10_000), /nested more than/],
    ['a reference to itself', { $ref: '#' }, /refers to itself/],
    [
      'references in a circle',
      { $ref: '#/$defs/a', $defs: { a: { anyOf: [{ $ref: '#/$defs/b' }] }, b: { allOf: [{ $ref: '#/$defs/a' }] } } },
      /refers to itself/,
    ],
    ['a reference to nowhere', { $ref: '#/$defs/none' }, /not there/],
    ['a reference to elsewhere', { $ref: 'https://example.com/schema' }, /only local/],
    ['more bytes than allowed', { enum: ['x'.repeat(limits.request.schemaBytesMax)] }, /larger than/],
    [
      'combinations that multiply',
      { allOf: Array.from({ length: 10 }, (_, i) => ({ anyOf: [{ minimum: i }, { maximum: i }, { minLength: i }] })) },
      /combines to more/,
    ],
    [
      'a oneOf of itself',
      {
        oneOf: [
          { properties: { a: { $ref: '#' } }, required: ['a'] },
          { properties: { a: { $ref: '#' } }, required: ['a'] },
        ],
      },
      /oneOf/,
    ],
    [
      'bounds that unfold to a huge grammar',
      {
        type: 'object',
        properties: Object.fromEntries(
          Array.from({ length: 100 }, (_, i) => [`p${i}`, { type: 'string', maxLength: 1_000 + i }]),
        ),
      },
      /too big a grammar/,
    ],
    ['nothing like a schema', [1, 2], /not a schema/],
    ['a keyword of the wrong kind', { type: 'object', required: 'a' }, /must be a list/],
  ])('%s', (_, schema, message) => {
    expect(refusalOf(schema)).toMatch(message)
  })

  test('any JSON is either converted or refused, never anything else', () => {
    const keyword = fc.constantFrom(
      'type',
      'enum',
      'const',
      'properties',
      'required',
      'items',
      'prefixItems',
      'anyOf',
      'oneOf',
      'allOf',
      '$ref',
      'minimum',
      'maximum',
      'multipleOf',
      'minLength',
      'maxLength',
      'pattern',
      'format',
      'minItems',
      'additionalProperties',
      'propertyNames',
      'minProperties',
      'nullable',
      'not',
      '$defs',
    )
    const { schema } = fc.letrec((tie) => ({
      schema: fc.oneof({ maxDepth: 5 }, fc.dictionary(keyword, tie('value'), { maxKeys: 4 }), fc.boolean()),
      value: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom(
          'string',
          'object',
          'integer',
          'number',
          'array',
          '#',
          '#/items',
          '#/$defs/type',
          '^a+$',
          'date',
          'x',
        ),
        fc.integer({ min: -3, max: 9 }),
        fc.double(),
        fc.constant(null),
        tie('schema'),
        fc.array(tie('schema'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('a', 'b', 'type'), tie('schema')),
      ),
    }))
    fc.assert(
      fc.property(schema, (one) => {
        let text: string
        try {
          text = jsonSchemaToGrammar(one)
        } catch (error) {
          if (!(error instanceof Failure)) throw error
          return
        }
        parseGbnf(text)
      }),
      { seed: 9, numRuns: 3_000 },
    )
  })
})
