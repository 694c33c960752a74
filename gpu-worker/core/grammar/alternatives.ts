/**
 * What a schema allows, as a list of alternatives: a value is allowed when one of them allows it.
 *
 * An alternative is a conjunction of plain constraints, with everything that combines schemas (`$ref`, `allOf`, `anyOf`, `oneOf`, type
 * unions) already worked in. Sub-schemas stay places: `Target`, a set of places that must all hold, is expanded when needed, so
 * recursive schemas stay finite.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Place } from './schemaDocument.ts'

export const typeNames = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'] as const
export type TypeName = (typeof typeNames)[number]

/** Places that must all hold; sorted, so that equal sets are equal texts. Empty: anything goes. */
export type Target = readonly Place[]

export interface Alternative {
  /** `number` includes the integers; both are never in one set. */
  readonly types: ReadonlySet<TypeName>
  /** JSON texts, as `JSON.stringify` writes them; null: not limited. */
  readonly values: ReadonlySet<string> | null
  readonly min: number | null
  readonly minExclusive: boolean
  readonly max: number | null
  readonly maxExclusive: boolean
  readonly multipleOf: number | null
  readonly lengthMin: number
  readonly lengthMax: number
  /** A regular expression or the name of a format; two of them cannot be combined. */
  readonly pattern: { readonly kind: 'pattern' | 'format'; readonly text: string } | null
  readonly itemsMin: number
  readonly itemsMax: number
  readonly prefix: readonly Target[]
  /** Items behind the prefix; null: none may be there. */
  readonly items: Target | null
  readonly properties: ReadonlyMap<string, Target>
  readonly required: ReadonlySet<string>
  /** Properties that are not declared: a schema, none, or not said. */
  readonly additional: Target | 'none' | 'unsaid'
  readonly names: Target
  readonly propertiesMin: number
  readonly propertiesMax: number
  /** For messages: where a limit came from that cannot be combined or written. */
  readonly origin: Place
}

export const anything: Alternative = {
  types: new Set(typeNames.filter((name) => name !== 'integer')),
  values: null,
  min: null,
  minExclusive: false,
  max: null,
  maxExclusive: false,
  multipleOf: null,
  lengthMin: 0,
  lengthMax: Number.POSITIVE_INFINITY,
  pattern: null,
  itemsMin: 0,
  itemsMax: Number.POSITIVE_INFINITY,
  prefix: [],
  items: [],
  properties: new Map(),
  required: new Set(),
  additional: 'unsaid',
  names: [],
  propertiesMin: 0,
  propertiesMax: Number.POSITIVE_INFINITY,
  origin: '#',
}

/** Nothing but types (and values) is limited: the usual enum. */
export function limitsOnlyTypes(one: Alternative): boolean {
  const { types, values, origin } = one
  return isDeepStrictEqual({ ...one, types, values, origin }, { ...anything, types, values, origin })
}

export function isOfTypes(value: unknown, types: ReadonlySet<TypeName>): boolean {
  if (value === null) return types.has('null')
  if (Array.isArray(value)) return types.has('array')
  if (typeof value === 'number') return types.has('number') || (types.has('integer') && Number.isInteger(value))
  return [...types].some((name) => name === typeof value)
}

export type Merged =
  | { readonly kind: 'merged'; readonly alternative: Alternative }
  | { readonly kind: 'empty' }
  | { readonly kind: 'inexpressible'; readonly keyword: string }

/** What both allow. */
export function merge(a: Alternative, b: Alternative): Merged {
  const types = commonTypes(a.types, b.types)
  const values = commonValues(a.values, b.values)
  if (types.size === 0 || values?.size === 0) return { kind: 'empty' }
  if (a.pattern !== null && b.pattern !== null && a.pattern.text !== b.pattern.text)
    return { kind: 'inexpressible', keyword: 'pattern' }
  if (a.multipleOf !== null && b.multipleOf !== null && a.multipleOf !== b.multipleOf) {
    return { kind: 'inexpressible', keyword: 'multipleOf' }
  }
  const alternative: Alternative = {
    types,
    values,
    ...tighter(a, b),
    multipleOf: a.multipleOf ?? b.multipleOf,
    lengthMin: Math.max(a.lengthMin, b.lengthMin),
    lengthMax: Math.min(a.lengthMax, b.lengthMax),
    pattern: a.pattern ?? b.pattern,
    itemsMin: Math.max(a.itemsMin, b.itemsMin),
    itemsMax: Math.min(a.itemsMax, b.itemsMax),
    ...mergedItems(a, b),
    ...objectPartOf(mergedProperties(a, b)),
    origin: b.origin,
  }
  return { kind: 'merged', alternative }
}

export function intersection<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): ReadonlySet<T> {
  return new Set([...a].filter((one) => b.has(one)))
}

export function union(a: Target, b: Target): Target {
  if (a.length === 0 || b.length === 0) return a.length === 0 ? b : a
  return [...new Set([...a, ...b])].sort()
}

function commonTypes(a: ReadonlySet<TypeName>, b: ReadonlySet<TypeName>): ReadonlySet<TypeName> {
  const common = new Set<TypeName>()
  for (const type of a) {
    if (b.has(type)) common.add(type)
    else if ((type === 'integer' && b.has('number')) || (type === 'number' && b.has('integer'))) common.add('integer')
  }
  return common
}

function commonValues(a: ReadonlySet<string> | null, b: ReadonlySet<string> | null): ReadonlySet<string> | null {
  if (a === null || b === null) return a ?? b
  return intersection(a, b)
}

function tighter(a: Alternative, b: Alternative) {
  const lower =
    [a, b]
      .filter((one) => one.min !== null)
      .sort((x, y) => (y.min ?? 0) - (x.min ?? 0) || Number(y.minExclusive) - Number(x.minExclusive))[0] ?? a
  const upper =
    [a, b]
      .filter((one) => one.max !== null)
      .sort((x, y) => (x.max ?? 0) - (y.max ?? 0) || Number(y.maxExclusive) - Number(x.maxExclusive))[0] ?? a
  return { min: lower.min, minExclusive: lower.minExclusive, max: upper.max, maxExclusive: upper.maxExclusive }
}

function mergedItems(a: Alternative, b: Alternative): Pick<Alternative, 'prefix' | 'items'> {
  const length = Math.max(a.prefix.length, b.prefix.length)
  const at = (one: Alternative, index: number) => one.prefix[index] ?? one.items
  const prefix: Target[] = []
  for (let i = 0; i < length; i++) {
    const [left, right] = [at(a, i), at(b, i)]
    if (left === null || right === null) return { prefix, items: null }
    prefix.push(union(left, right))
  }
  return { prefix, items: a.items === null || b.items === null ? null : union(a.items, b.items) }
}

function objectPartOf(one: ObjectPart): ObjectPart {
  const { properties, required, additional, names, propertiesMin, propertiesMax } = one
  return { properties, required, additional, names, propertiesMin, propertiesMax }
}

type ObjectPart = Pick<
  Alternative,
  'properties' | 'required' | 'additional' | 'names' | 'propertiesMin' | 'propertiesMax'
>

function mergedProperties(a: Alternative, b: Alternative): ObjectPart {
  if (saysNothingOfObjects(a)) return b
  if (saysNothingOfObjects(b)) return a
  const properties = new Map<string, Target>()
  for (const name of [...a.properties.keys(), ...b.properties.keys()]) {
    const left = propertyTarget(a, name)
    const right = propertyTarget(b, name)
    properties.set(name, left === 'none' || right === 'none' ? impossible : union(left, right))
  }
  return {
    properties,
    required: new Set([...a.required, ...b.required]),
    additional: mergedAdditional(a.additional, b.additional),
    names: union(a.names, b.names),
    propertiesMin: Math.max(a.propertiesMin, b.propertiesMin),
    propertiesMax: Math.min(a.propertiesMax, b.propertiesMax),
  }
}

function saysNothingOfObjects(one: Alternative): boolean {
  const { properties, required, additional, names, propertiesMin, propertiesMax } = one
  const isOpen =
    additional === 'unsaid' && names.length === 0 && propertiesMin === 0 && propertiesMax === Number.POSITIVE_INFINITY
  return isOpen && properties.size === 0 && required.size === 0
}

/** A target that nothing satisfies. */
export const impossible: Target = ['!']

function propertyTarget(one: Alternative, name: string): Target | 'none' {
  return one.properties.get(name) ?? (one.additional === 'unsaid' ? [] : one.additional)
}

function mergedAdditional(a: Alternative['additional'], b: Alternative['additional']): Alternative['additional'] {
  if (a === 'none' || b === 'none') return 'none'
  if (a === 'unsaid') return b
  return b === 'unsaid' ? a : union(a, b)
}
