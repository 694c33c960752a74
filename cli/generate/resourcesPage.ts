/**
 * The reference of the resources, from the schemas that parse files and from which the cluster's definitions are made: every field
 * with its bounds and default, every rule in the words in which it is told, every condition, what `kubectl get` shows.
 */
import * as z from 'zod'
import { ApiKeySecret } from '#contracts/resources/apiKey.ts'
import { apiVersion } from '#contracts/resources/metadata.ts'
import { fieldsOfLaterVersions } from '#contracts/resources/modelDeployment.ts'
import { type ResourceKind, resourceKinds, rootSchema } from './crds.ts'
import { markdownTable, page } from './markdown.ts'
import { structuralForm, type StructuralSchema } from './structuralSchema.ts'

const introduction = `Resources of \`${apiVersion}\`. The same text works as a file for \`npm start -- --file <file or folder>\` (YAML or JSON, several to a file) and for \`kubectl apply\`. Unknown fields are refused. Write \`"off"\` and \`"on"\` with their quotes: \`kubectl\` reads them as booleans without.`

export function resourcesPage(): string {
  const { properties = {}, required = [] } = structuralForm(
    z.toJSONSchema(ApiKeySecret, { io: 'input', unrepresentable: 'any' }),
  )
  return page('Resources', 'contracts/resources/', introduction, [
    ...resourceKinds.flatMap(kindParts),
    '## API key (a Secret)',
    'An ordinary Secret of a type of its own; in a cluster it also carries the label `paceline.dev/kind: api-key`, and its values may stand in `data` as well. While there is none the router is open.',
    fieldTable({ type: 'object', properties, required }, ''),
  ])
}

const later = `Accepted and without effect in this version, which the conditions say: ${fieldsOfLaterVersions.map((field) => `\`${field}\``).join(', ')}.`

function kindParts(resource: ResourceKind): string[] {
  const { properties = {}, ...root } = rootSchema(resource)
  const { spec = {}, status = {} } = properties
  const rules = [...rulesOf(root, ''), ...rulesOf(spec, 'spec')]
  return [
    `## ${resource.kind}`,
    resource.description,
    `\`kubectl get ${resource.shortNames.at(-1)}\` lists them; \`kubectl explain ${resource.singular}.spec\` says in a terminal what stands here.`,
    `### ${resource.kind}: fields`,
    fieldTable(spec, 'spec'),
    ...(resource.kind === 'ModelDeployment' ? [later] : []),
    `### ${resource.kind}: rules`,
    markdownTable(['where', 'rule'], rules),
    `### ${resource.kind}: status`,
    fieldTable(status, 'status'),
    `### ${resource.kind}: what \`kubectl get\` shows`,
    columnTable(resource),
  ]
}

function columnTable({ columns }: ResourceKind): string {
  const rows = columns.map(({ name, jsonPath, description, priority }) => [
    `${name.toUpperCase()}${priority === 1 ? ' (`-o wide`)' : ''}`,
    `\`${jsonPath}\``,
    description,
  ])
  return markdownTable(['column', 'from', 'meaning'], rows)
}

function fieldTable(schema: StructuralSchema, path: string): string {
  return markdownTable(['field', 'type', 'default', 'meaning'], rowsOf(schema, path))
}

function rowsOf({ properties = {}, required = [] }: StructuralSchema, path: string): string[][] {
  return Object.entries(properties).flatMap(([name, field]) => {
    const at = path === '' ? name : `${path}.${name}`
    const isObject = field.properties !== undefined
    const filled = isObject || field.default === undefined ? '' : `\`${JSON.stringify(field.default)}\``
    const own = [`\`${at}\``, typeOf(field), required.includes(name) ? '(required)' : filled, field.description ?? '']
    return [own, ...rowsOf(isObject ? field : (field.items ?? {}), isObject ? at : `${at}[]`)]
  })
}

function rulesOf(schema: StructuralSchema, path: string): string[][] {
  const own = (schema['x-kubernetes-validations'] ?? []).map(({ message, fieldPath = '' }) => [
    `\`${`${path}${fieldPath}` || 'metadata.name'}\``,
    message.replace(/^metadata\.name: /, ''),
  ])
  const inner = Object.entries(schema.properties ?? {}).flatMap(([name, field]) => rulesOf(field, `${path}.${name}`))
  return [...own, ...inner, ...(schema.items === undefined ? [] : rulesOf(schema.items, `${path}[]`))]
}

function typeOf(field: StructuralSchema): string {
  if (field.enum !== undefined) return field.enum.map((value) => `\`${JSON.stringify(value)}\``).join(' ')
  if (field['x-kubernetes-int-or-string'] === true) return `integer${rangeOf(field)} or ${formOf(field)}`
  if (field['x-kubernetes-preserve-unknown-fields'] === true) return 'object, as in a Pod'
  if (field.additionalProperties !== undefined) return `map of ${typeOf(field.additionalProperties)}`
  if (field.type === 'array') return `list of ${typeOf(field.items ?? {})}${sizeOf(field)}`
  return `${field.type ?? 'any'}${rangeOf(field)}${sizeOf(field)}`
}

/** `auto` or a quantity: the pattern says which. */
function formOf({ pattern = '' }: StructuralSchema): string {
  const word = /^\^(\w+)\$$/.exec(pattern)?.[1]
  return word === undefined ? 'quantity' : `\`"${word}"\``
}

function rangeOf({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: StructuralSchema): string {
  const from = minimum === undefined ? '' : ` ${exclusiveMinimum === true ? 'over' : 'from'} ${minimum}`
  const to = maximum === undefined ? '' : ` ${exclusiveMaximum === true ? 'below' : 'to'} ${maximum}`
  return `${from}${to}`
}

function sizeOf({ maxItems, minItems, maxLength, pattern }: StructuralSchema): string {
  if (maxItems !== undefined)
    return `, ${minItems === undefined ? '' : `${minItems} to `}${maxItems}${minItems === undefined ? ' at most' : ''}`
  // A pattern says more than a length.
  return maxLength === undefined || pattern !== undefined ? '' : `, ${maxLength} characters at most`
}
