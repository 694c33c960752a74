/**
 * What an API server says to a value under a structural schema, in the order in which it works: nulls are dropped, defaults
 * filled in, form and rules judged. Fields that are not in the schema are refused, as `kubectl` asks for it.
 */
import { isDeepStrictEqual } from 'node:util'
import type { StructuralSchema } from '../../cli/generate/structuralSchema.ts'
import { evaluateCel } from './cel.ts'

export interface Verdict {
  readonly value: unknown
  readonly problems: readonly string[]
}

export function structuralVerdict(schema: StructuralSchema, given: unknown): Verdict {
  const value = filled(schema, given)
  return { value, problems: problemsOf(schema, value, '') }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Without nulls, which are no values of any field of ours. Items of lists keep theirs: they are refused. */
export function withoutNulls(schema: StructuralSchema, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutNulls(schema.items ?? {}, item))
  if (!isObject(value) || isOpaque(schema)) return value
  const kept = Object.entries(value).filter(([name, field]) => field !== null || fieldOf(schema, name) === undefined)
  return Object.fromEntries(kept.map(([name, field]) => [name, withoutNulls(fieldOf(schema, name) ?? {}, field)]))
}

function filled(schema: StructuralSchema, given: unknown): unknown {
  const value = withoutNulls(schema, given)
  if (Array.isArray(value)) return value.map((item) => filled(schema.items ?? {}, item))
  if (!isObject(value) || isOpaque(schema)) return value
  const missing = Object.entries(schema.properties ?? {}).filter(
    ([name, field]) => value[name] === undefined && field.default !== undefined,
  )
  const whole = { ...value, ...Object.fromEntries(missing.map(([name, field]) => [name, field.default])) }
  return Object.fromEntries(
    Object.entries(whole).map(([name, field]) => [name, filled(fieldOf(schema, name) ?? {}, field)]),
  )
}

const isOpaque = (schema: StructuralSchema) => schema['x-kubernetes-preserve-unknown-fields'] === true
const fieldOf = (schema: StructuralSchema, name: string) =>
  Object.hasOwn(schema.properties ?? {}, name) ? schema.properties?.[name] : schema.additionalProperties

function problemsOf(schema: StructuralSchema, value: unknown, path: string): string[] {
  if (!hasType(schema, value)) return [`${path}: wrong type`]
  const own = [
    ...ofText(schema, value),
    ...ofNumber(schema, value),
    ...ofList(schema, value),
    ...ofObject(schema, value),
  ]
  const enumerated = schema.enum !== undefined && !schema.enum.includes(value) ? ['not one of these'] : []
  const form = [...own, ...enumerated].map((problem) => `${path}: ${problem}`)
  const inner = isOpaque(schema) ? [] : childrenOf(schema, value, path)
  // Rules are asked only where the form is right.
  const rules = form.length + inner.length > 0 ? [] : brokenRules(schema, value, path)
  return [...form, ...inner, ...rules]
}

function childrenOf(schema: StructuralSchema, value: unknown, path: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item, i) => problemsOf(schema.items ?? {}, item, `${path}[${i}]`))
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([name, inner]) => {
    const field = fieldOf(schema, name)
    if (field !== undefined) return problemsOf(field, inner, `${path}.${name}`)
    // Metadata is the API server's own.
    return schema.properties === undefined ? [] : [`${path}.${name}: no such field`]
  })
}

function brokenRules(schema: StructuralSchema, self: unknown, path: string): string[] {
  const rules = (schema['x-kubernetes-validations'] ?? []).filter(({ rule }) => !rule.includes('oldSelf'))
  return rules.filter(({ rule }) => evaluateCel(rule, { self }) !== true).map(({ message }) => `${path}: ${message}`)
}

function hasType(schema: StructuralSchema, value: unknown): boolean {
  if (schema['x-kubernetes-int-or-string'] === true) return typeof value === 'string' || Number.isInteger(value)
  switch (schema.type) {
    case 'object':
      return isObject(value)
    case 'array':
      return Array.isArray(value)
    case 'integer':
      return Number.isInteger(value)
    case 'number':
    case 'string':
    case 'boolean':
      return typeof value === schema.type
    case undefined:
      return true
    default:
      return schema.type satisfies never
  }
}

function ofText({ minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern }: StructuralSchema, value: unknown) {
  if (typeof value !== 'string') return []
  const { length } = Array.from(value)
  const isLong = length > maxLength || length < minLength
  return [
    ...(isLong ? ['wrong length'] : []),
    ...(pattern === undefined || new RegExp(pattern, 'u').test(value) ? [] : ['wrong form']),
  ]
}

function ofNumber(schema: StructuralSchema, value: unknown): string[] {
  if (typeof value !== 'number') return []
  const { minimum, maximum } = schema
  const isLow = minimum !== undefined && (schema.exclusiveMinimum === true ? value <= minimum : value < minimum)
  const isHigh = maximum !== undefined && (schema.exclusiveMaximum === true ? value >= maximum : value > maximum)
  return isLow || isHigh ? ['out of bounds'] : []
}

function ofList(schema: StructuralSchema, value: unknown): string[] {
  if (!Array.isArray(value)) return []
  const { minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema
  const keys = schema['x-kubernetes-list-map-keys']
  const identity = (item: unknown) => (keys === undefined ? item : keys.map((key) => isObject(item) && item[key]))
  const listType = schema['x-kubernetes-list-type'] ?? 'atomic'
  const isDouble = value.some((a, i) => value.slice(i + 1).some((b) => isDeepStrictEqual(identity(a), identity(b))))
  return [
    ...(value.length < minItems || value.length > maxItems ? ['wrong number of items'] : []),
    ...(listType !== 'atomic' && isDouble ? ['something twice'] : []),
  ]
}

function ofObject({ required = [], maxProperties = Number.POSITIVE_INFINITY }: StructuralSchema, value: unknown) {
  if (!isObject(value)) return []
  const missing = required.filter((name) => value[name] === undefined).map((name) => `${name} is missing`)
  return Object.keys(value).length > maxProperties ? [...missing, 'too many entries'] : missing
}
