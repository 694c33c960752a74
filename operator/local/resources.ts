/**
 * Resource files as desired state: YAML or JSON text in, ModelDeployments, ModelRoutes, API keys and calibrations out, or every mistake at once with
 * `file:line: field: what to change`.
 *
 * Pure. Unknown kinds and keys are mistakes: a misspelt field that is silently ignored costs an afternoon.
 */
import { type Document, isMap, isNode, isScalar, LineCounter, parseAllDocuments } from 'yaml'
import type * as z from 'zod'
import { ApiKeySecret, apiKeySecretType } from '#contracts/resources/apiKey.ts'
import { apiVersion, ModelDeployment } from '#contracts/resources/modelDeployment.ts'
import { CalibrationMap } from '#contracts/resources/calibrationMap.ts'
import { ModelRoute } from '#contracts/resources/modelRoute.ts'

export interface ResourceFile {
  readonly path: string
  readonly text: string
}

export interface Resources {
  readonly deployments: readonly ModelDeployment[]
  readonly routes: readonly ModelRoute[]
  readonly apiKeys: readonly ApiKeySecret[]
  readonly configMaps: readonly CalibrationMap[]
}

export type ReadResult =
  | { readonly kind: 'read'; readonly resources: Resources }
  | { readonly kind: 'broken'; readonly problems: readonly string[] }

interface Place {
  readonly path: string
  readonly lines: LineCounter
}

type Parsed =
  | { readonly kind: 'deployment'; readonly at: string; readonly value: ModelDeployment }
  | { readonly kind: 'route'; readonly at: string; readonly value: ModelRoute }
  | { readonly kind: 'api-key'; readonly at: string; readonly value: ApiKeySecret }
  | { readonly kind: 'config-map'; readonly at: string; readonly value: CalibrationMap }
  | { readonly kind: 'problems'; readonly problems: readonly string[] }

export function readResources(files: readonly ResourceFile[]): ReadResult {
  const parsed = files.flatMap(parseFile)
  const deployments = parsed.filter((item) => item.kind === 'deployment')
  const routes = parsed.filter((item) => item.kind === 'route')
  const apiKeys = parsed.filter((item) => item.kind === 'api-key')
  const configMaps = parsed.filter((item) => item.kind === 'config-map')
  const problems = [
    ...parsed.flatMap((item) => (item.kind === 'problems' ? item.problems : [])),
    ...duplicates(deployments, 'a ModelDeployment named', ({ metadata }) => metadata.name),
    ...duplicates(routes, 'a ModelRoute named', ({ metadata }) => metadata.name),
    ...duplicates(configMaps, 'a ConfigMap named', ({ metadata }) => metadata.name),
    ...duplicates(apiKeys, 'a Secret named', ({ metadata }) => metadata.name),
    ...duplicates(apiKeys, 'the same key', ({ stringData }) => stringData.key, { secret: true }),
  ]
  if (problems.length > 0) return { kind: 'broken', problems }
  const resources = {
    deployments: deployments.map(({ value }) => value),
    routes: routes.map(({ value }) => value),
    apiKeys: apiKeys.map(({ value }) => value),
    configMaps: configMaps.map(({ value }) => value),
  }
  return { kind: 'read', resources }
}

function parseFile(file: ResourceFile): Parsed[] {
  const place: Place = { path: file.path, lines: new LineCounter() }
  const documents = parseAllDocuments(file.text, { lineCounter: place.lines })
  if (!Array.isArray(documents)) return []
  return documents.filter((document) => document.contents !== null).map((document) => parseDocument(document, place))
}

function parseDocument(document: Document, place: Place): Parsed {
  const at = where(place, document.range?.[0] ?? 0)
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => `${where(place, error.pos[0])}: ${firstLine(error.message)}`)
    return { kind: 'problems', problems }
  }
  const value = toValue(document)
  if (value.kind === 'problem') return { kind: 'problems', problems: [`${at}: ${value.message}`] }
  const kind = kindOf(value.value)
  switch (kind) {
    case `${apiVersion} ModelDeployment`: {
      const result = ModelDeployment.safeParse(value.value)
      if (result.success) return { kind: 'deployment', at: headOf(document, place), value: result.data }
      return { kind: 'problems', problems: problemsOf(result.error, document, place) }
    }
    case `${apiVersion} ModelRoute`: {
      const result = ModelRoute.safeParse(value.value)
      if (result.success) return { kind: 'route', at: headOf(document, place), value: result.data }
      return { kind: 'problems', problems: problemsOf(result.error, document, place) }
    }
    case 'v1 ConfigMap': {
      const result = CalibrationMap.safeParse(value.value)
      if (result.success) return { kind: 'config-map', at: headOf(document, place), value: result.data }
      return { kind: 'problems', problems: problemsOf(result.error, document, place) }
    }
    case 'v1 Secret': {
      const result = ApiKeySecret.safeParse(value.value)
      if (result.success) return { kind: 'api-key', at: headOf(document, place), value: result.data }
      return { kind: 'problems', problems: problemsOf(result.error, document, place) }
    }
    default: {
      const known = `${apiVersion} ModelDeployment, ModelRoute, v1 ConfigMap (label paceline.dev/kind: calibration), v1 Secret (type ${apiKeySecretType})`
      return {
        kind: 'problems',
        problems: [`${headOf(document, place)}: kind: "${kind}" is not known here; known: ${known}`],
      }
    }
  }
}

function toValue(document: Document): { kind: 'value'; value: unknown } | { kind: 'problem'; message: string } {
  try {
    return { kind: 'value', value: document.toJS() as unknown }
  } catch (error) {
    // Aliases that expand without bound.
    return { kind: 'problem', message: error instanceof Error ? error.message : String(error) }
  }
}

function kindOf(value: unknown): string {
  if (value === null || typeof value !== 'object') return typeof value
  const { apiVersion: version, kind } = value as { apiVersion?: unknown; kind?: unknown }
  return `${typeof version === 'string' ? version : '(no apiVersion)'} ${typeof kind === 'string' ? kind : '(no kind)'}`
}

function problemsOf(error: z.ZodError, document: Document, place: Place): string[] {
  const mistakes = error.issues.flatMap((issue) => {
    const path = issue.path.filter((step) => typeof step !== 'symbol')
    if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }]
    return issue.keys.map((key) => ({ path: [...path, key], message: 'no such field; check the spelling' }))
  })
  return mistakes
    .map(({ path, message }) => ({ offset: locate(document, path), text: `${dotted(path)}: ${message}` }))
    .sort((a, b) => a.offset - b.offset)
    .map(({ offset, text }) => `${where(place, offset)}: ${text}`)
}

/** Where the key at `path` stands, or the nearest thing above it that is there. */
function locate(document: Document, path: readonly (string | number)[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const parent = document.getIn(path.slice(0, length - 1), true)
    const last = path[length - 1]
    const pair = isMap(parent) ? parent.items.find(({ key }) => isScalar(key) && key.value === last) : undefined
    const node = isNode(pair?.key) ? pair.key : document.getIn(path.slice(0, length), true)
    if (isNode(node) && node.range) return node.range[0]
  }
  return startOf(document)
}

/** The first line of the document that holds something. */
const headOf = (document: Document, place: Place) => where(place, startOf(document))

function startOf(document: Document): number {
  const { contents } = document
  return isNode(contents) && contents.range ? contents.range[0] : (document.range?.[0] ?? 0)
}

function where(place: Place, offset: number): string {
  return `${place.path}:${place.lines.linePos(offset).line}`
}

function duplicates<T>(
  items: readonly { at: string; value: T }[],
  what: string,
  keyOf: (value: T) => string,
  options: { secret: boolean } = { secret: false },
): string[] {
  const first = new Map<string, string>()
  return items.flatMap(({ at, value }) => {
    const key = keyOf(value)
    const earlier = first.get(key)
    if (earlier === undefined) first.set(key, at)
    return earlier === undefined ? [] : [`${at}: ${what}${options.secret ? '' : ` "${key}"`} is already at ${earlier}`]
  })
}

const dotted = (path: readonly (string | number)[]) =>
  path.map((step, i) => (typeof step === 'number' ? `[${step}]` : i === 0 ? step : `.${step}`)).join('') || 'document'
const firstLine = (text: string) => text.split('\n')[0] ?? text
