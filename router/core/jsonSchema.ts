/**
 * Whether a value fits a JSON Schema (2020-12), for sources that check answers. Every keyword that
 * `contracts/resources/jsonSchemaForm.ts` lets through is judged here; `format` and what describes are not, as the standard has it.
 * Pure. May take for ever by a pattern in it: it is run on a thread that can be ended.
 */
import { referredIn } from '#contracts/resources/jsonReference.ts'

type Fields = Readonly<Record<string, unknown>>

interface Place {
  readonly root: unknown
  /** A schema that refers to itself without reading anything would never end. */
  readonly depth: number
}

const depthMax = 256

export function fitsSchema(schema: unknown, value: unknown): boolean {
  return fits({ root: schema, depth: 0 }, schema, value)
}

function fits({ root, depth }: Place, schema: unknown, value: unknown): boolean {
  if (typeof schema === 'boolean') return schema
  if (!isFields(schema) || depth > depthMax) return false
  const inner = (part: unknown, of: unknown) => fits({ root, depth: depth + 1 }, part, of)
  const reference = schema['$ref']
  if (typeof reference === 'string' && !inner(referredIn(root, reference), value)) return false
  return (
    isOfType(schema['type'], value) &&
    isListed(schema, value) &&
    isCombined(schema, value, inner) &&
    (typeof value !== 'string' || fitsText(schema, value)) &&
    (typeof value !== 'number' || fitsNumber(schema, value)) &&
    (!Array.isArray(value) || fitsList(schema, value, inner)) &&
    (!isFields(value) || fitsObject(schema, value, inner))
  )
}

type Inner = (schema: unknown, value: unknown) => boolean

function isOfType(type: unknown, value: unknown): boolean {
  if (type === undefined) return true
  return listOf(type).some((each) => {
    switch (each) {
      case 'null':
        return value === null
      case 'integer':
        return Number.isInteger(value)
      case 'array':
        return Array.isArray(value)
      case 'object':
        return isFields(value)
      default:
        return typeof value === each
    }
  })
}

function isListed(schema: Fields, value: unknown): boolean {
  if ('const' in schema && !isSame(schema['const'], value)) return false
  return schema['enum'] === undefined || listOf(schema['enum']).some((each) => isSame(each, value))
}

function isCombined(schema: Fields, value: unknown, inner: Inner): boolean {
  const { allOf, anyOf, oneOf, not } = schema
  const holds = (part: unknown) => inner(part, value)
  if (allOf !== undefined && !listOf(allOf).every(holds)) return false
  if (anyOf !== undefined && !listOf(anyOf).some(holds)) return false
  if (oneOf !== undefined && listOf(oneOf).filter(holds).length !== 1) return false
  if (not !== undefined && holds(not)) return false
  if (schema['if'] === undefined) return true
  const then = holds(schema['if']) ? schema['then'] : schema['else']
  return then === undefined || holds(then)
}

function fitsText({ minLength, maxLength, pattern }: Fields, value: string): boolean {
  if ((minLength !== undefined || maxLength !== undefined) && !isWithin(charactersIn(value), minLength, maxLength))
    return false
  return typeof pattern !== 'string' || new RegExp(pattern, 'u').test(value)
}

function fitsNumber(schema: Fields, value: number): boolean {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema
  if (!isWithin(value, minimum, maximum)) return false
  if (typeof exclusiveMinimum === 'number' && value <= exclusiveMinimum) return false
  if (typeof exclusiveMaximum === 'number' && value >= exclusiveMaximum) return false
  if (typeof multipleOf !== 'number') return true
  const times = value / multipleOf
  return Number.isFinite(times) && Math.abs(times - Math.round(times)) < 1e-9 * Math.max(1, Math.abs(times))
}

function fitsList(schema: Fields, value: readonly unknown[], inner: Inner): boolean {
  const { minItems, maxItems, uniqueItems, items, contains, minContains = 1, maxContains } = schema
  if (!isWithin(value.length, minItems, maxItems)) return false
  if (uniqueItems === true && value.some((each, i) => value.slice(0, i).some((other) => isSame(other, each))))
    return false
  const first = schema['prefixItems'] === undefined ? [] : listOf(schema['prefixItems'])
  if (!first.every((part, i) => i >= value.length || inner(part, value[i]))) return false
  if (items !== undefined && !value.slice(first.length).every((each) => inner(items, each))) return false
  return (
    contains === undefined || isWithin(value.filter((each) => inner(contains, each)).length, minContains, maxContains)
  )
}

function fitsObject(schema: Fields, value: Fields, inner: Inner): boolean {
  const keys = Object.keys(value)
  const { minProperties, maxProperties, required, propertyNames, additionalProperties } = schema
  if (!isWithin(keys.length, minProperties, maxProperties)) return false
  if (required !== undefined && !listOf(required).every((key) => hasKey(value, key))) return false
  for (const [key, others] of Object.entries(fieldsOf(schema['dependentRequired'])))
    if (hasKey(value, key) && !listOf(others).every((other) => hasKey(value, other))) return false
  for (const [key, part] of Object.entries(fieldsOf(schema['dependentSchemas'])))
    if (hasKey(value, key) && !inner(part, value)) return false
  if (propertyNames !== undefined && !keys.every((key) => inner(propertyNames, key))) return false
  const named = fieldsOf(schema['properties'])
  const patterns = Object.entries(fieldsOf(schema['patternProperties'])).map(
    ([pattern, part]) => [new RegExp(pattern, 'u'), part] as const,
  )
  return keys.every((key) => {
    const own = Object.hasOwn(named, key) ? [named[key]] : []
    const parts = [...own, ...patterns.filter(([pattern]) => pattern.test(key)).map(([, part]) => part)]
    if (parts.length === 0) return additionalProperties === undefined || inner(additionalProperties, value[key])
    return parts.every((part) => inner(part, value[key]))
  })
}

/** Not UTF-16 units. */
const charactersIn = (text: string) => text.match(/./gsu)?.length ?? 0

const isWithin = (value: number, least: unknown, most: unknown) =>
  (typeof least !== 'number' || value >= least) && (typeof most !== 'number' || value <= most)

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as readonly unknown[]) : [value])
const hasKey = (value: Fields, key: unknown) => typeof key === 'string' && Object.hasOwn(value, key)

/** As JSON has it: order of fields does not matter. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((each, i) => isSame(each, b[i]))
  if (!isFields(a) || !isFields(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isSame(a[key], b[key]))
}
