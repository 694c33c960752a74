/**
 * A JSON schema as a document: bounded before anything walks it recursively, and addressed by JSON pointers.
 *
 * A place is a JSON pointer from the root (`#/properties/name`). All later work is keyed by places, which is what makes recursive
 * schemas finite.
 */
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { schemaParam } from './writer.ts'

export type Place = string
export type Schema = boolean | Readonly<Record<string, unknown>>

/** The one way in which a schema is refused: where, which keyword, why. */
export function refuse(place: Place, keyword: string, reason: string): never {
  const where = keyword === '' ? place : `${place}: "${keyword}"`
  throw new Failure('invalid-request', `JSON schema at ${where} ${reason}`, { param: schemaParam })
}

export class SchemaDocument {
  readonly #root: unknown
  /** Only references can make a schema that needs itself. */
  hasReferences = false

  constructor(root: unknown) {
    checkBounds(root)
    this.#root = root
  }

  at(place: Place): Schema {
    let value = this.#root
    for (const part of partsOf(place)) value = childOf(value, part)
    if (typeof value === 'boolean' || isObject(value)) return value
    return refuse(place, '', 'is not a schema: an object or a boolean is needed')
  }

  /** The place a `$ref` names. Only references into the same document: nothing is ever fetched. */
  resolve(place: Place, reference: unknown): Place {
    if (typeof reference !== 'string') return refuse(place, '$ref', 'must be a string')
    this.hasReferences = true
    const id = isObject(this.#root) ? this.#root['$id'] : undefined
    const local = typeof id === 'string' && reference.startsWith(`${id}#`) ? reference.slice(id.length) : reference
    if (!/^#(?:\/|$)/.test(local)) {
      return refuse(
        place,
        '$ref',
        `is "${reference.slice(0, 100)}"; only local JSON pointers such as "#/$defs/name" are supported`,
      )
    }
    const target = `#${partsOf(local)
      .map((part) => `/${escapePart(part)}`)
      .join('')}`
    let value = this.#root
    for (const part of partsOf(target)) value = childOf(value, part)
    if (value === undefined) return refuse(place, '$ref', `names ${target.slice(0, 100)}, which is not there`)
    return target
  }
}

export function child(place: Place, ...parts: readonly (string | number)[]): Place {
  return place + parts.map((part) => `/${escapePart(String(part))}`).join('')
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Own members only, so that a property called `__proto__` or `constructor` is an ordinary name. */
export function member(value: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined
}

function childOf(value: unknown, part: string): unknown {
  if (Array.isArray(value)) return /^(?:0|[1-9]\d*)$/.test(part) ? (value[Number(part)] as unknown) : undefined
  return isObject(value) ? member(value, part) : undefined
}

function escapePart(part: string): string {
  return encodeURIComponent(part.toWellFormed()).replaceAll('~', '~0').replaceAll('%2F', '~1').replaceAll('%24', '$')
}

function partsOf(place: string): string[] {
  return place
    .split('/')
    .slice(1)
    .map((part) => decode(part).replaceAll('~1', '/').replaceAll('~0', '~'))
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    // A "%" that is no escape: some generators do not encode fragments.
    return part
  }
}

/** Iterative on purpose: this is what protects every recursive function from deep input. */
function checkBounds(root: unknown): void {
  const { schemaDepthMax, schemaBytesMax } = limits.request
  let bytes = 0
  let level: unknown[] = [root]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > schemaDepthMax)
      refuse('#', '', `is nested more than ${schemaDepthMax} levels deep; flatten it, or use $ref`)
    const next: unknown[] = []
    for (const value of level) {
      bytes += sizeOf(value)
      if (bytes > schemaBytesMax) refuse('#', '', `is larger than ${schemaBytesMax} bytes`)
      if (Array.isArray(value)) for (const item of value) next.push(item)
      else if (isObject(value)) for (const item of Object.values(value)) next.push(item)
    }
    level = next
  }
}

/** Bytes of the value's own text, without what it contains. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length + 2
  if (Array.isArray(value)) return 2 + value.length
  if (isObject(value)) return 2 + Object.keys(value).reduce((sum, key) => sum + key.length + 4, 0)
  return 4
}
