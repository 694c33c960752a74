/** One line of a watch as an event, or why it is none. Pure. */
import { type ApiObject, versionOf } from './objects.ts'
import type { CacheEvent } from './objectCache.ts'

export type WatchWord<T> =
  | { readonly kind: 'event'; readonly event: CacheEvent<T> }
  /** The version that the watch went on from is no longer kept: list again. */
  | { readonly kind: 'expired' }
  /** The server cannot go on, or what it says is not understood: what was missed is unknown. */
  | { readonly kind: 'broken'; readonly why: string }

interface Line {
  readonly type?: unknown
  readonly object?: unknown
}

export function readWatchLine<T extends ApiObject>(line: string): WatchWord<T> {
  const parsed = parseLine(line)
  const object = parsed?.object
  if (parsed === null || typeof object !== 'object' || object === null)
    return { kind: 'broken', why: `a watch line is not understood: ${line.slice(0, 120)}` }
  switch (parsed.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return eventOf(parsed.type, object as T)
    case 'BOOKMARK': {
      const resourceVersion = versionOf(object)
      return resourceVersion === ''
        ? { kind: 'broken', why: 'a bookmark has no version' }
        : { kind: 'event', event: { type: 'BOOKMARK', resourceVersion } }
    }
    case 'ERROR':
      return errorOf(object)
    default:
      return { kind: 'broken', why: `a watch event of unknown type ${String(parsed.type)}` }
  }
}

function eventOf<T extends ApiObject>(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): WatchWord<T> {
  const { name, resourceVersion } = object.metadata ?? {}
  if (typeof name !== 'string' || typeof resourceVersion !== 'string')
    return { kind: 'broken', why: `a watch event of type ${type} has no name or no version` }
  return { kind: 'event', event: { type, object } }
}

function errorOf(object: {
  readonly code?: unknown
  readonly reason?: unknown
  readonly message?: unknown
}): WatchWord<never> {
  const isExpired = object.code === 410 || object.reason === 'Expired' || object.reason === 'Gone'
  return isExpired
    ? { kind: 'expired' }
    : { kind: 'broken', why: `the server ended the watch: ${String(object.message)}` }
}

function parseLine(line: string): Line | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? value : null
  } catch {
    return null
  }
}
