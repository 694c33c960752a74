/**
 * Reads the keywords of one schema object that limit a value directly. What cannot be written as a grammar is refused here, by name:
 * a limit that is silently dropped is worse than an error.
 */
import { type Alternative, impossible, type Target, type TypeName, typeNames } from './alternatives.ts'
import { child, isObject, member, type Place, refuse } from './schemaDocument.ts'

type Keywords = Readonly<Record<string, unknown>>
type Writable = { -readonly [K in keyof Alternative]?: Alternative[K] }

export function readKeywords(schema: Keywords, place: Place): Partial<Alternative> {
  refuseInexpressible(schema, place)
  const found: Writable = {}
  readType(schema, place, found)
  readNumbers(schema, place, found)
  readStrings(schema, place, found)
  readArrays(schema, place, found)
  readObjects(schema, place, found)
  return found
}

const never = () => false
const isEmpty = (value: unknown) => isObject(value) && Object.keys(value).length === 0

/** Keyword, and the values with which it says nothing. */
const inexpressible: readonly (readonly [string, (value: unknown) => boolean])[] = [
  ['not', (value) => value === false],
  ['if', never],
  ['then', never],
  ['else', never],
  ['contains', never],
  ['minContains', never],
  ['maxContains', never],
  ['uniqueItems', (value) => value === false],
  ['dependencies', isEmpty],
  ['dependentRequired', isEmpty],
  ['dependentSchemas', isEmpty],
  ['patternProperties', isEmpty],
  ['unevaluatedItems', (value) => value === true],
  ['unevaluatedProperties', (value) => typeof value === 'boolean'],
  ['$dynamicRef', never],
  ['$recursiveRef', never],
  ['extends', never],
  ['disallow', never],
]

export const inexpressibleKeywords = inexpressible.map(([keyword]) => keyword)

function refuseInexpressible(schema: Keywords, place: Place): void {
  for (const [keyword, saysNothing] of inexpressible) {
    const value = member(schema, keyword)
    if (value !== undefined && !saysNothing(value))
      refuse(place, keyword, 'cannot be enforced by a grammar; remove it or express it otherwise')
  }
  if (place !== '#' && typeof member(schema, '$id') === 'string')
    refuse(place, '$id', 'starts a document of its own, which is not supported; remove it')
}

function readType(schema: Keywords, place: Place, found: Writable): void {
  const type = member(schema, 'type')
  if (type !== undefined) {
    const names = (Array.isArray(type) ? type : [type]).map(
      (one: unknown) =>
        typeNames.find((name) => name === one) ?? refuse(place, 'type', `must be one of ${typeNames.join(', ')}`),
    )
    const types = new Set<TypeName>(names)
    if (types.has('number')) types.delete('integer')
    found.types = types
  }
  const values = member(schema, 'enum')
  if (values !== undefined && !Array.isArray(values)) refuse(place, 'enum', 'must be a list')
  const texts = Array.isArray(values) ? new Set(values.map((value: unknown) => JSON.stringify(value))) : null
  if (!Object.hasOwn(schema, 'const')) found.values = texts
  else {
    const only = JSON.stringify(member(schema, 'const'))
    found.values = new Set(texts === null || texts.has(only) ? [only] : [])
  }
}

function readNumbers(schema: Keywords, place: Place, found: Writable): void {
  const number = (keyword: string) => {
    const value = member(schema, keyword)
    if (value === undefined || (typeof value === 'number' && Number.isFinite(value))) return value
    return refuse(place, keyword, 'must be a number')
  }
  const bound = (inclusive: string, exclusive: string, isTighter: (a: number, b: number) => boolean) => {
    const value = number(inclusive)
    // Draft 4: a boolean that sharpens the inclusive bound.
    if (typeof member(schema, exclusive) === 'boolean') return { value, strict: member(schema, exclusive) === true }
    const strict = number(exclusive)
    if (strict === undefined || (value !== undefined && isTighter(value, strict))) return { value, strict: false }
    return { value: strict, strict: true }
  }
  const low = bound('minimum', 'exclusiveMinimum', (a, b) => a > b)
  const high = bound('maximum', 'exclusiveMaximum', (a, b) => a < b)
  if (low.value !== undefined) Object.assign(found, { min: low.value, minExclusive: low.strict })
  if (high.value !== undefined) Object.assign(found, { max: high.value, maxExclusive: high.strict })
  const multiple = number('multipleOf')
  if (multiple === undefined) return
  if (multiple <= 0) refuse(place, 'multipleOf', 'must be more than 0')
  found.multipleOf = multiple
}

function count(schema: Keywords, keyword: string, place: Place): number | undefined {
  const value = member(schema, keyword)
  if (value === undefined || (typeof value === 'number' && Number.isInteger(value) && value >= 0)) return value
  return refuse(place, keyword, 'must be a whole number of at least 0')
}

function readStrings(schema: Keywords, place: Place, found: Writable): void {
  found.lengthMin = count(schema, 'minLength', place) ?? 0
  found.lengthMax = count(schema, 'maxLength', place) ?? Number.POSITIVE_INFINITY
  const pattern = member(schema, 'pattern')
  const format = member(schema, 'format')
  if (pattern !== undefined && typeof pattern !== 'string') refuse(place, 'pattern', 'must be a string')
  if (typeof pattern === 'string') found.pattern = { kind: 'pattern', text: pattern }
  else if (typeof format === 'string') found.pattern = { kind: 'format', text: format }
}

function readArrays(schema: Keywords, place: Place, found: Writable): void {
  found.itemsMin = count(schema, 'minItems', place) ?? 0
  found.itemsMax = count(schema, 'maxItems', place) ?? Number.POSITIVE_INFINITY
  const items = member(schema, 'items')
  const prefixKeyword = Array.isArray(items) ? 'items' : 'prefixItems'
  const restKeyword = Array.isArray(items) ? 'additionalItems' : 'items'
  const prefix = member(schema, prefixKeyword)
  if (Array.isArray(prefix)) found.prefix = prefix.map((_, i) => [child(place, prefixKeyword, i)])
  const rest = member(schema, restKeyword)
  if (rest === false) found.items = null
  else if (rest !== undefined) found.items = [child(place, restKeyword)]
}

function readObjects(schema: Keywords, place: Place, found: Writable): void {
  const properties = member(schema, 'properties')
  if (properties !== undefined && !isObject(properties)) refuse(place, 'properties', 'must be an object of schemas')
  if (isObject(properties)) {
    found.properties = new Map<string, Target>(
      Object.keys(properties).map((name) => [
        name,
        properties[name] === false ? impossible : [child(place, 'properties', name)],
      ]),
    )
  }
  // Draft 3 has a boolean here, which no later draft knows.
  const required = member(schema, 'required')
  if (Array.isArray(required)) found.required = new Set(required.filter((name) => typeof name === 'string'))
  else if (required !== undefined) refuse(place, 'required', 'must be a list of property names')
  const additional = member(schema, 'additionalProperties')
  if (additional === false) found.additional = 'none'
  else if (additional !== undefined) found.additional = [child(place, 'additionalProperties')]
  if (member(schema, 'propertyNames') !== undefined) found.names = [child(place, 'propertyNames')]
  found.propertiesMin = count(schema, 'minProperties', place) ?? 0
  found.propertiesMax = count(schema, 'maxProperties', place) ?? Number.POSITIVE_INFINITY
}
