/**
 * What a schema says beyond the form of its fields, said once for both judges: zod, which parses files on the local platform
 * and everything in the tests, and the cluster's API server, which is given the same rule as CEL in the CRD.
 *
 * A rule's `cel` and `holds` must agree on every value that the form allows, defaults already filled in (the API server fills
 * them in before it asks). Messages say what to change.
 */
import * as z from 'zod'

export interface Rule<T> {
  /** Over `self`, the value with its defaults. Costs are estimated from the bounds of the lists and strings it walks. */
  readonly cel: string
  readonly message: string
  /** The field to blame, from the value down; default: the value itself. */
  readonly path?: readonly string[]
  readonly holds: (value: T) => boolean
}

/** A rule about a change; only the API server can judge it, since a file has no history. */
export interface TransitionRule {
  /** Over `self` and `oldSelf`. */
  readonly cel: string
  readonly message: string
}

/** What the CRD needs to know and zod has no word for. */
export interface KubernetesHints {
  readonly rules?: readonly { readonly cel: string; readonly message: string; readonly path?: readonly string[] }[]
  readonly transitions?: readonly TransitionRule[]
  /** How lists merge in a server-side apply; a `set` or `map` also refuses doubles. */
  readonly listType?: 'atomic' | 'set' | 'map'
  readonly listMapKeys?: readonly string[]
  readonly maxProperties?: number
  /** A format that zod does not check here. */
  readonly format?: 'date-time'
  /** An integer or a string; zod has a union. */
  readonly intOrString?: boolean
  /** An object that is passed on as it is and judged by who uses it. */
  readonly opaque?: boolean
}

export const kubernetesHints = z.registry<KubernetesHints>()

export function hinted<S extends z.ZodType>(schema: S, hints: KubernetesHints): S {
  kubernetesHints.add(schema, { ...kubernetesHints.get(schema), ...hints })
  return schema
}

/** The schema with its rules: zod checks them from here on, the CRD's generator finds them in the registry. */
export function ruled<S extends z.ZodType>(schema: S, rules: readonly Rule<z.output<S>>[]): S {
  let checked = schema
  for (const { holds, message, path } of rules) {
    checked = checked.refine(holds, { message, ...(path === undefined ? {} : { path: [...path] }) })
  }
  const before = kubernetesHints.get(schema)
  return hinted(checked, { ...before, rules: [...(before?.rules ?? []), ...rules] })
}

/** A list that holds nothing twice; a server-side apply merges it by value. */
export function setOf<S extends z.ZodType<string | number>>(item: S, sizeMax: number) {
  const list = z.array(item).max(sizeMax)
  const unique = list.refine((items) => new Set(items).size === items.length, 'nothing twice: remove the double')
  return hinted(unique, { listType: 'set' })
}

/** A list of named things, each name once; a server-side apply merges it by name. */
export function namedListOf<S extends z.ZodType<{ name: string }>>(item: S, sizeMax: number) {
  const list = z.array(item).max(sizeMax)
  const unique = list.refine(
    (items) => new Set(items.map(({ name }) => name)).size === items.length,
    'each name once: rename or remove the double',
  )
  return hinted(unique, { listType: 'map', listMapKeys: ['name'] })
}

/** A regular expression as a CEL string literal between single quotes. Written for RE2: no look-around, no back-references. */
export const celPattern = (pattern: RegExp) =>
  pattern.source.replaceAll('\\/', '/').replaceAll('\\', '\\\\').replaceAll("'", "\\'")
