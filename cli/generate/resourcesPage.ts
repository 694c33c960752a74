/** Every field of the resources, from the schemas that parse them. */
import * as z from 'zod'
import { ApiKeySecret } from '#contracts/resources/apiKey.ts'
import { ModelDeployment } from '#contracts/resources/modelDeployment.ts'
import { markdownTable, page } from './markdown.ts'

/** What a JSON schema may say about a field, as far as the table shows it. */
interface FieldSchema {
  type?: string | string[]
  const?: unknown
  enum?: unknown[]
  default?: unknown
  anyOf?: FieldSchema[]
  properties?: Record<string, FieldSchema>
  required?: string[]
  items?: FieldSchema
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
}

export function resourcesPage(): string {
  return page(
    'Resources',
    'contracts/resources/',
    'Files given to `npm start -- --file <file or folder>` hold these as YAML or JSON, several to a file. Unknown fields are refused.',
    [
      '## ModelDeployment',
      'One pair and everything that serves it.',
      fieldTable(ModelDeployment),
      '## API key (a Secret)',
      'While there is none the router is open.',
      fieldTable(ApiKeySecret),
    ],
  )
}

function fieldTable(schema: z.ZodType): string {
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as FieldSchema
  return markdownTable(['field', 'type', 'required', 'default'], rowsOf(json, ''))
}

function rowsOf(schema: FieldSchema, path: string): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const at = path === '' ? name : `${path}.${name}`
    // What the operator writes is described where it is shown.
    if (at === 'status') return []
    const inner = field.properties === undefined ? (field.items ?? {}) : field
    const isObject = field.properties !== undefined
    const shown = isObject ? undefined : field.default
    const isRequired = schema.required?.includes(name) === true
    const own = [
      `\`${at}\``,
      typeOf(field),
      isRequired ? 'yes' : '',
      shown === undefined ? '' : `\`${JSON.stringify(shown)}\``,
    ]
    return [own, ...rowsOf(inner, isObject ? at : `${at}[]`)]
  })
}

function typeOf(field: FieldSchema): string {
  if (field.const !== undefined) return `\`${JSON.stringify(field.const)}\``
  if (field.enum !== undefined) return field.enum.map((value) => `\`${JSON.stringify(value)}\``).join(' ')
  if (field.anyOf !== undefined) return field.anyOf.map(typeOf).join(' or ')
  if (field.type === 'array') return `list of ${typeOf(field.items ?? {})}`
  const type = [field.type ?? 'any'].flat().join(' or ')
  const safe = (bound: number | undefined) => bound !== undefined && Math.abs(bound) < Number.MAX_SAFE_INTEGER
  const from = safe(field.minimum)
    ? ` from ${field.minimum}`
    : safe(field.exclusiveMinimum)
      ? ` over ${field.exclusiveMinimum}`
      : ''
  return `${type}${from}${safe(field.maximum) ? ` to ${field.maximum}` : ''}`
}
