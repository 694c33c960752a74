/**
 * A zod schema as the structural schema of a CustomResourceDefinition. Pure.
 *
 * A structural schema is a small part of OpenAPI v3.0: each field has one type, nothing closes an object (the API server removes
 * what it does not know), bounds are said once. What zod can say and this cannot is a bug of the schema, not something to leave
 * out: the conversion throws, and the tests convert every resource.
 */
import assert from 'node:assert/strict'
import * as z from 'zod'
import { kubernetesHints } from '#contracts/resources/rules.ts'

export interface ValidationRule {
  rule: string
  message: string
  fieldPath?: string
}

export interface StructuralSchema {
  type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  description?: string
  default?: unknown
  enum?: unknown[]
  format?: string
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  exclusiveMinimum?: boolean
  maximum?: number
  exclusiveMaximum?: boolean
  minItems?: number
  maxItems?: number
  maxProperties?: number
  properties?: Record<string, StructuralSchema>
  additionalProperties?: StructuralSchema
  required?: string[]
  items?: StructuralSchema
  anyOf?: { type: 'integer' | 'string' }[]
  'x-kubernetes-int-or-string'?: true
  'x-kubernetes-preserve-unknown-fields'?: true
  'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map'
  'x-kubernetes-list-map-keys'?: string[]
  'x-kubernetes-validations'?: ValidationRule[]
}

/** What `z.toJSONSchema` gives for our schemas, and the hints beside it. */
const Json = z.strictObject({
  $schema: z.string().optional(),
  type: z.enum(['object', 'array', 'string', 'integer', 'number', 'boolean']).optional(),
  description: z.string().optional(),
  default: z.unknown().optional(),
  const: z.string().optional(),
  enum: z.array(z.unknown()).optional(),
  pattern: z.string().optional(),
  minLength: z.number().optional(),
  maxLength: z.number().optional(),
  minimum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  maximum: z.number().optional(),
  exclusiveMaximum: z.number().optional(),
  minItems: z.number().optional(),
  maxItems: z.number().optional(),
  get properties() {
    return z.record(z.string(), Json).optional()
  },
  /** Always a string here; the form of keys is a rule. */
  propertyNames: z.strictObject({ type: z.literal('string') }).optional(),
  get additionalProperties() {
    return z.union([z.literal(false), Json]).optional()
  },
  required: z.array(z.string()).optional(),
  get items() {
    return Json.optional()
  },
  get anyOf() {
    return z.array(Json).optional()
  },
  hints: z.custom<NonNullable<ReturnType<typeof kubernetesHints.get>>>().optional(),
})
type Json = z.infer<typeof Json>

export function structuralSchema(schema: z.ZodType): StructuralSchema {
  const json = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      const hints = kubernetesHints.get(zodSchema)
      if (hints !== undefined) Object.assign(jsonSchema, { hints })
    },
  })
  return structuralForm(json)
}

/** The same, of a JSON schema that has its hints already. */
export function structuralForm(json: unknown): StructuralSchema {
  return withFullDefaults(convert(Json.parse(json), ''))
}

/**
 * The API server judges a default by the rules of its object before the defaults inside are filled in, so an object's default
 * must be whole.
 */
function withFullDefaults(schema: StructuralSchema): StructuralSchema {
  if (schema.items !== undefined) return { ...schema, items: withFullDefaults(schema.items) }
  if (schema.properties === undefined) return schema
  const properties = mapFields(schema.properties, withFullDefaults)
  const inner = Object.entries(properties).flatMap(([name, field]) =>
    field.default === undefined ? [] : [[name, field.default] as const],
  )
  const isWhole = schema.default === undefined || inner.length === 0
  return isWhole
    ? { ...schema, properties }
    : {
        ...schema,
        default: { ...Object.fromEntries(inner), ...z.object({}).loose().parse(schema.default) },
        properties,
      }
}

function convert(json: Json, path: string): StructuralSchema {
  const { hints } = json
  const described = {
    ...(json.description === undefined ? {} : { description: json.description }),
    ...(json.default === undefined ? {} : { default: json.default }),
  }
  const rules = {
    ...validations(hints),
    ...(hints?.maxProperties === undefined ? {} : { maxProperties: hints.maxProperties }),
  }
  if (hints?.intOrString === true) return { ...described, ...intOrString(json, path), ...rules }
  assert(json.anyOf === undefined, `${path}: a structural schema has no unions`)
  if (hints?.opaque === true) return { ...described, type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  assert(json.type !== undefined || json.const !== undefined, `${path}: a structural schema needs a type`)
  return { ...described, ...form(json), ...bounds(json), ...children(json, path), ...rules }
}

function mapFields<A, B>(
  fields: Readonly<Record<string, A>>,
  change: (field: A, name: string) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, change(field, name)]))
}

function form({ type, const: only, enum: values, pattern, hints }: Json): StructuralSchema {
  return {
    ...(type === undefined ? {} : { type }),
    ...(only === undefined ? {} : { enum: [only] }),
    ...(values === undefined ? {} : { enum: values }),
    ...(pattern === undefined ? {} : { pattern: pattern.replaceAll('\\/', '/') }),
    ...(hints?.format === undefined ? {} : { format: hints.format }),
  }
}

function bounds(json: Json): StructuralSchema {
  const { minLength, maxLength, minItems, maxItems, minimum, exclusiveMinimum, maximum, exclusiveMaximum } = json
  // zod's integers end where doubles stop counting, which says nothing about the field.
  const isBound = (bound: number | undefined): bound is number =>
    bound !== undefined && Math.abs(bound) < Number.MAX_SAFE_INTEGER
  return {
    ...(minLength === undefined ? {} : { minLength }),
    ...(maxLength === undefined ? {} : { maxLength }),
    ...(minItems === undefined ? {} : { minItems }),
    ...(maxItems === undefined ? {} : { maxItems }),
    ...(isBound(minimum) ? { minimum } : {}),
    ...(isBound(exclusiveMinimum) ? { minimum: exclusiveMinimum, exclusiveMinimum: true } : {}),
    ...(isBound(maximum) ? { maximum } : {}),
    ...(isBound(exclusiveMaximum) ? { maximum: exclusiveMaximum, exclusiveMaximum: true } : {}),
  }
}

function children({ properties, additionalProperties, required, items, hints }: Json, path: string): StructuralSchema {
  const fields = mapFields(properties ?? {}, (field, name) => convert(field, `${path}.${name}`))
  return {
    ...(properties === undefined ? {} : { properties: fields }),
    ...(required === undefined || required.length === 0 ? {} : { required }),
    ...(additionalProperties === undefined || additionalProperties === false
      ? {}
      : { additionalProperties: convert(additionalProperties, `${path}.*`) }),
    ...(items === undefined ? {} : { items: convert(items, `${path}[]`), ...listOf(hints) }),
  }
}

function listOf(hints: Json['hints']): StructuralSchema {
  return {
    'x-kubernetes-list-type': hints?.listType ?? 'atomic',
    ...(hints?.listMapKeys === undefined ? {} : { 'x-kubernetes-list-map-keys': [...hints.listMapKeys] }),
  }
}

/** Each keyword judges only values of its own type, so those of both stand side by side. */
function intOrString({ anyOf = [] }: Json, path: string): StructuralSchema {
  const text = anyOf.find(({ type }) => type === 'string')
  const whole = anyOf.find(({ type }) => type === 'integer')
  assert(anyOf.length === 2 && text !== undefined && whole !== undefined, `${path}: an integer or a string`)
  const pattern = text.const === undefined ? text.pattern : `^${text.const}$`
  assert(pattern !== undefined, `${path}: the string of an integer or string needs a pattern`)
  return {
    'x-kubernetes-int-or-string': true,
    anyOf: [{ type: 'integer' }, { type: 'string' }],
    ...bounds(whole),
    ...(text.maxLength === undefined ? {} : { maxLength: text.maxLength }),
    pattern,
  }
}

function validations(hints: Json['hints']): StructuralSchema {
  const rules = (hints?.rules ?? []).map(({ cel, message, path }) => {
    if (path === undefined) return { rule: cel, message }
    const field = path.join('.')
    // Of metadata a definition knows only that it is an object, so a rule cannot point into it.
    return path[0] === 'metadata'
      ? { rule: cel, message: `${field}: ${message}` }
      : { rule: cel, message, fieldPath: `.${field}` }
  })
  const transitions = (hints?.transitions ?? []).map(({ cel, message }) => ({ rule: cel, message }))
  const all = [...rules, ...transitions]
  return all.length === 0 ? {} : { 'x-kubernetes-validations': all }
}
