/**
 * Resources made from a definition's own schema: most of them right, with values at their bounds, the rest damaged in a place or
 * two by nulls, wrong types, unknown fields, values just over a bound.
 */
import fc from 'fast-check'
import { resourceKinds, rootSchema } from '../../cli/generate/crds.ts'
import type { StructuralSchema } from '../../cli/generate/structuralSchema.ts'

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

export interface ResourceArbitraryOptions {
  /** The schema of the spec. */
  readonly spec: StructuralSchema
  /** Makes a random spec one that its rules allow more often than not. */
  readonly mend: (spec: { [name: string]: Json }) => { [name: string]: Json }
}

/** A spec, whole or damaged. */
export function arbitrarySpec({ spec, mend }: ResourceArbitraryOptions): fc.Arbitrary<Json> {
  const whole = valueOf(spec).map((value) => mend(value as { [name: string]: Json }))
  const damage = fc.record({ place: fc.nat(), kind: fc.constantFrom(...damages) })
  const few = fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    { weight: 3, arbitrary: fc.array(damage, { minLength: 1, maxLength: 2 }) },
  )
  return fc.tuple(whole, few).map(([value, all]) => all.reduce<Json>(damaged, value))
}

/** Right by form; rules may still be broken. */
function valueOf(schema: StructuralSchema): fc.Arbitrary<Json> {
  if (schema.enum !== undefined) return fc.constantFrom(...(schema.enum as Json[]))
  if (schema['x-kubernetes-int-or-string'] === true) return fc.oneof(numberIn(schema, 1), textOf(schema))
  if (schema['x-kubernetes-preserve-unknown-fields'] === true) return fc.constantFrom<Json[]>({}, { nodeAffinity: {} })
  switch (schema.type) {
    case 'boolean':
      return fc.boolean()
    case 'integer':
      return numberIn(schema, 1)
    case 'number':
      return fc.oneof(numberIn(schema, 1), numberIn(schema, 0.001))
    case 'string':
      return textOf(schema)
    case 'array':
      return listOf(schema)
    case 'object':
      return objectOf(schema)
    case undefined:
      return fc.constant(null)
    default:
      return schema.type satisfies never
  }
}

/** Often at a bound, where mistakes are. */
function numberIn(schema: StructuralSchema, step: number): fc.Arbitrary<Json> {
  const { minimum = -1e6, maximum = 1e6 } = schema
  const low = Math.ceil(minimum / step) + (schema.exclusiveMinimum === true ? 1 : 0)
  const high = Math.floor(maximum / step) - (schema.exclusiveMaximum === true ? 1 : 0)
  // A range may hold no whole number.
  if (low > high) return fc.constant((minimum + maximum) / 2)
  const inside = fc.integer({ min: Math.max(low, -(2 ** 52)), max: Math.min(high, 2 ** 52) })
  const places = fc.oneof(fc.constant(low), fc.constant(high), inside)
  return places.map((place) => (step === 1 ? place : Number((place * step).toFixed(3))))
}

function textOf({ pattern, maxLength = 300, minLength = 0 }: StructuralSchema): fc.Arbitrary<string> {
  const fits = (text: string) => text.length <= maxLength && text.length >= minLength
  if (pattern === undefined) return fc.string({ maxLength: Math.min(maxLength, 40), unit: 'grapheme' }).filter(fits)
  return fc.stringMatching(new RegExp(pattern, 'u')).filter(fits)
}

function listOf({ items = {}, ...schema }: StructuralSchema): fc.Arbitrary<Json> {
  const keys = schema['x-kubernetes-list-map-keys']
  const selector = (item: Json) =>
    JSON.stringify(keys === undefined ? item : (item as Record<string, Json>)[keys[0] ?? ''])
  const size = { minLength: schema.minItems ?? 0, maxLength: Math.min(schema.maxItems ?? 3, 3) }
  return fc.uniqueArray(valueOf(items), { ...size, selector })
}

function objectOf({ properties, additionalProperties, required = [] }: StructuralSchema): fc.Arbitrary<Json> {
  if (additionalProperties !== undefined) {
    const name = fc.constantFrom('cpu', 'memory', 'nvidia.com/gpu', 'team', 'example.org/cost-centre', 'a.b-c_d')
    return fc.dictionary(name, valueOf(additionalProperties), { maxKeys: 3 })
  }
  const fields = Object.entries(properties ?? {}).map(([name, field]) => {
    const value = valueOf(field)
    const present = required.includes(name) ? value : fc.option(value, { nil: undefined, freq: 1 })
    return fc.tuple(fc.constant(name), present, fc.nat({ max: 2 }))
  })
  return fc.tuple(...fields).map((all) => {
    const kept = all.flatMap(([name, value, chance]) =>
      value === undefined || (chance > 0 && !required.includes(name)) ? [] : [[name, value] as const],
    )
    return Object.fromEntries(kept)
  })
}

const damages = ['null', 'wrong-type', 'over', 'under', 'remove', 'unknown', 'empty', 'double', 'long'] as const
interface Damage {
  readonly place: number
  readonly kind: (typeof damages)[number]
}

type Path = readonly (string | number)[]

function damaged(value: Json, { place, kind }: Damage): Json {
  const all = pathsIn(value, [])
  const path = all[place % all.length] ?? []
  return changed(value, path, (inner) => damage(inner, kind))
}

function pathsIn(value: Json, path: Path): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([name, inner]) => pathsIn(inner, [...path, name]))]
}

function changed(value: Json, path: Path, change: (value: Json) => Json | undefined): Json {
  const [name, ...rest] = path
  if (name === undefined) return change(value) ?? null
  if (Array.isArray(value)) return value.map((item, i) => (i === Number(name) ? changed(item, rest, change) : item))
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).flatMap(([key, inner]) => {
    if (key !== name) return [[key, inner] as const]
    const next = rest.length === 0 ? change(inner) : changed(inner, rest, change)
    return next === undefined ? [] : [[key, next] as const]
  })
  return Object.fromEntries(fields)
}

/** Undefined: it goes. */
function damage(value: Json, kind: Damage['kind']): Json | undefined {
  switch (kind) {
    case 'null':
      return null
    case 'wrong-type':
      return typeof value === 'string' ? 17 : typeof value === 'number' ? [value] : 'text'
    case 'over':
      return typeof value === 'number' ? value * 1_000 + 1 : Array.isArray(value) ? [...value, ...value, null] : value
    case 'under':
      return typeof value === 'number' ? -value - 0.5 : value
    case 'remove':
      return undefined
    case 'unknown':
      return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value, slotz: 1 } : value
    case 'empty':
      return typeof value === 'string' ? '' : Array.isArray(value) ? [] : {}
    case 'double':
      return Array.isArray(value) ? [...value, ...value] : value
    case 'long':
      return typeof value === 'string' ? `${value}${'𝔵'.repeat(200)}` : value
    default:
      return kind satisfies never
  }
}

/** Most random pairs name no model, or say twice how many workers they want. */
export function mendedPair(spec: { [name: string]: Json }): { [name: string]: Json } {
  const { engine, target, scaling: _, ...rest } = spec
  const isSimulated =
    typeof engine === 'object' && engine !== null && !Array.isArray(engine) && engine.kind === 'simulated'
  const model = { source: 'https://models.example/a.gguf', sha256: 'a'.repeat(64) }
  const mended = rest.replicas === undefined ? spec : { ...rest, ...(engine === undefined ? {} : { engine }) }
  return isSimulated || target !== undefined
    ? { ...mended, ...(target === undefined ? {} : { target }) }
    : { ...mended, target: model }
}

/** Exactly one strategy, and a name that does not change from one spec to the next: that alone is refused. */
export function mendedRoute(spec: { [name: string]: Json }): { [name: string]: Json } {
  const { name: _, ...strategies } = spec
  const name = 'assistant'
  const [first] = Object.entries(strategies)
  return first === undefined ? { name, direct: { deployment: 'smol' } } : { name, [first[0]]: first[1] }
}

/** Specs of a ModelDeployment, good and bad. */
export const anySpec = arbitrarySpec({
  spec: rootSchema(resourceKinds.find(({ kind }) => kind === 'ModelDeployment') ?? never()).properties?.spec ?? never(),
  mend: mendedPair,
})

function never(): never {
  throw new Error('there is a ModelDeployment, and it has a spec')
}
