/**
 * Which JSON Schemas a source may check answers by: those whose every keyword is one that is judged (`router/core/jsonSchema.ts`). An unknown
 * one would be passed over in silence, and an answer that breaks it would count as right; and a reference that leads nowhere would make every
 * answer wrong.
 */
import { limits } from '../limits.ts'
import { referredIn } from './jsonReference.ts'

interface Walk {
  readonly root: unknown
  /** What references lead to, each walked once: schemas may refer to themselves. */
  readonly referred: Set<unknown>
}

function all<const K extends string>(kind: K, names: readonly string[]): Record<string, K> {
  return Object.fromEntries(names.map((name) => [name, kind]))
}

/** By keyword: what stands behind it. */
const keywords: Readonly<
  Record<
    string,
    | 'schema'
    | 'schemas'
    | 'fields'
    | 'pattern'
    | 'patterns'
    | 'reference'
    | 'number'
    | 'names'
    | 'namesByField'
    | 'list'
    | 'boolean'
    | 'any'
  >
> = {
  ...all('reference', ['$ref']),
  ...all('schemas', ['allOf', 'anyOf', 'oneOf', 'prefixItems']),
  ...all('schema', ['not', 'if', 'then', 'else', 'items', 'contains', 'additionalProperties', 'propertyNames']),
  ...all('fields', ['$defs', 'definitions', 'properties', 'dependentSchemas']),
  ...all('patterns', ['patternProperties']),
  ...all('pattern', ['pattern']),
  ...all('number', ['multipleOf', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum']),
  ...all('number', ['minLength', 'maxLength', 'minItems', 'maxItems', 'minContains', 'maxContains']),
  ...all('number', ['minProperties', 'maxProperties']),
  ...all('names', ['required']),
  ...all('namesByField', ['dependentRequired']),
  ...all('list', ['enum']),
  ...all('boolean', ['uniqueItems']),
  ...all('any', ['type', 'const']),
  // These only describe.
  ...all('any', ['$schema', '$id', '$comment', 'title', 'description', 'default', 'examples', 'format', 'deprecated']),
}

const types = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object']

/** Null: every keyword of it is judged. */
export const schemaProblem = (schema: unknown): string | null =>
  problemIn({ root: schema, referred: new Set([schema]) }, schema, 0)

function problemIn(walk: Walk, schema: unknown, depth: number): string | null {
  if (typeof schema === 'boolean') return null
  if (!isFields(schema)) return 'a schema is an object, true or false'
  if (depth > limits.request.schemaDepthMax) return `deeper than ${limits.request.schemaDepthMax}`
  const type = schema['type']
  const wrongType =
    type === undefined ? undefined : listOf(type).find((each) => typeof each !== 'string' || !types.includes(each))
  if (wrongType !== undefined) return `type ${JSON.stringify(wrongType)} is none of ${types.join(', ')}`
  return firstOf(Object.entries(schema), ([keyword, part]) => keywordProblem(walk, { keyword, part, depth: depth + 1 }))
}

interface Keyword {
  readonly keyword: string
  readonly part: unknown
  readonly depth: number
}

function keywordProblem(walk: Walk, { keyword, part, depth }: Keyword): string | null {
  const kind = Object.hasOwn(keywords, keyword) ? keywords[keyword] : undefined
  switch (kind) {
    case undefined:
      return `${keyword} is not judged; leave it out or say it otherwise`
    case 'schema':
      return problemIn(walk, part, depth)
    case 'schemas':
      return Array.isArray(part) ? firstOf(part, (each) => problemIn(walk, each, depth)) : `${keyword} is a list`
    case 'fields':
      return isFields(part)
        ? firstOf(Object.values(part), (each) => problemIn(walk, each, depth))
        : `${keyword} is an object`
    case 'patterns':
      if (!isFields(part)) return `${keyword} is an object`
      return firstOf(Object.entries(part), ([pattern, each]) => patternProblem(pattern) ?? problemIn(walk, each, depth))
    case 'pattern':
      return patternProblem(part)
    case 'reference':
      return referenceProblem(walk, part)
    case 'names':
      return isNames(part) ? null : `${keyword} is a list of names`
    case 'namesByField':
      return isFields(part) && Object.values(part).every(isNames)
        ? null
        : `${keyword} has a list of names for each field`
    case 'list':
      return Array.isArray(part) ? null : `${keyword} is a list`
    case 'boolean':
      return typeof part === 'boolean' ? null : `${keyword} is true or false`
    case 'number':
      return typeof part === 'number' ? null : `${keyword} is a number`
    case 'any':
      return null
    default:
      return kind satisfies never
  }
}

function referenceProblem(walk: Walk, reference: unknown): string | null {
  if (typeof reference !== 'string' || !reference.startsWith('#'))
    return '$ref must stay inside this schema (#/$defs/…)'
  const target = referredIn(walk.root, reference)
  if (target === undefined) return `$ref leads nowhere: ${reference}`
  if (walk.referred.has(target)) return null
  walk.referred.add(target)
  return problemIn(walk, target, 0)
}

function patternProblem(pattern: unknown): string | null {
  try {
    return typeof pattern === 'string' && new RegExp(pattern, 'u') instanceof RegExp ? null : 'a pattern is a text'
  } catch {
    return 'a pattern that is no regular expression of JavaScript'
  }
}

function firstOf<T>(items: readonly T[], problem: (item: T) => string | null): string | null {
  for (const item of items) {
    const found = problem(item)
    if (found !== null) return found
  }
  return null
}

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as readonly unknown[]) : [value])
const isNames = (value: unknown): boolean => Array.isArray(value) && value.every((each) => typeof each === 'string')
