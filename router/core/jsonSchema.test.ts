import suite from 'json-schema-test-suite'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { schemaProblem } from '#contracts/resources/jsonSchemaForm.ts'
import { fitsSchema } from './jsonSchema.ts'

const File = z.object({
  name: z.string(),
  schemas: z.array(
    z.object({
      description: z.string(),
      schema: z.unknown(),
      tests: z.array(z.object({ description: z.string(), data: z.unknown(), valid: z.boolean() })),
    }),
  ),
})
/** The newest draft that the package has; what a later one says in another way is not let through. `format` only describes, and 1.0 is a whole number in
 * JSON as we read it. */
const groups = z
  .array(File)
  .parse(suite.draft4())
  .flatMap(({ name, schemas }) => schemas.map((group) => ({ ...group, name: `${name}: ${group.description}` })))
  .filter(({ name, schema }) => !/^(format|zeroTerminatedFloats):/.test(name) && schemaProblem(schema) === null)

describe('the standard’s own tests', () => {
  test('are mostly let through', () => {
    expect(groups.length).toBeGreaterThan(50)
  })

  test.each(groups)('$name', ({ schema, tests }) => {
    for (const { description, data, valid } of tests)
      expect([description, fitsSchema(schema, data)]).toEqual([description, valid])
  })
})

describe('beyond them', () => {
  test.each([
    [{ prefixItems: [{ type: 'integer' }], items: { type: 'string' } }, [1, 'a'], ['a']],
    [{ contains: { type: 'integer' }, minContains: 2, maxContains: 3 }, [1, 2, 'a'], [1]],
    [Object.fromEntries(['if', 'then', 'else'].map((part, i) => [part, { required: ['abc'[i]] }])), { c: 1 }, { a: 1 }],
    [{ dependentRequired: { a: ['b'] } }, { a: 1, b: 2 }, { a: 1 }],
    [{ required: ['sum'] }, { sum: 1 }, { total: 1 }],
    [{ $ref: '#/$defs/even', $defs: { even: { multipleOf: 2 } } }, 4, 3],
    [{ $ref: '#/allOf/0/%24defs/a~1b', allOf: [{ $defs: { 'a/b': { multipleOf: 2 } } }] }, 4, 3],
    [{ type: ['array', 'null'], items: { $ref: '#' } }, [null, []], [1]],
  ])('%j', (schema, right, wrong) => {
    expect(schemaProblem(schema)).toBeNull()
    expect(fitsSchema(schema, right)).toBe(true)
    expect(fitsSchema(schema, wrong)).toBe(false)
  })

  test('a schema that only refers to itself fits nothing, and ends', () => {
    expect(fitsSchema({ $ref: '#' }, 1)).toBe(false)
  })

  test.each([
    [{ unevaluatedProperties: false }, 'unevaluatedProperties is not judged'],
    [{ properties: { a: { type: 'strnig' } } }, 'type "strnig" is none of'],
    [{ patternProperties: { '(': {} } }, 'no regular expression'],
    [{ $ref: 'https://example.org/schema' }, 'must stay inside'],
    [{ $ref: '#/$defs/evne', $defs: { even: {} } }, '$ref leads nowhere: #/$defs/evne'],
    [{ properties: { a: { $ref: '#even' } }, $defs: { even: { $anchor: 'even' } } }, '$ref leads nowhere'],
    [{ $ref: '#/%zz' }, '$ref leads nowhere'],
    [{ $ref: '#/constructor' }, '$ref leads nowhere'],
    [{ $ref: '#/$defs', $defs: { even: {} } }, 'even is not judged'],
    [{ required: 'sum' }, 'required is a list of names'],
    [{ dependentRequired: { a: 'b' } }, 'dependentRequired has a list of names for each field'],
    [{ enum: 1 }, 'enum is a list'],
    [{ uniqueItems: 'yes' }, 'uniqueItems is true or false'],
    [{ allOf: {} }, 'allOf is a list'],
    [{ items: 3 }, 'a schema is an object'],
    [{ minimum: 1, exclusiveMinimum: true }, 'exclusiveMinimum is a number'],
  ])('%j is not let through', (schema, words) => {
    expect(schemaProblem(schema)).toContain(words)
  })

  test('nor is one that is too deep', () => {
    const deep = Array.from({ length: 40 }).reduce<object>((inner) => ({ not: inner }), {})
    expect(schemaProblem(deep)).toContain('deeper than')
  })
})
