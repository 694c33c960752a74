/**
 * The keys of values.yaml with their comments and defaults: the chart's README is made of them, and a test compares them with
 * the schema and with what the templates read.
 *
 * A comment belongs to the key right below it. Maps whose own keys are documented are sections; all others are leaves.
 */
import { isMap, isScalar, type Pair, parseDocument, type YAMLMap } from 'yaml'
import { Failure } from '#contracts/failure.ts'

export interface ValueKey {
  /** `router.drain.graceSeconds` */
  readonly path: string
  readonly comment: string
  /** Null for a section, which has no value of its own. */
  readonly value: string | null
}

export function valueKeys(text: string): ValueKey[] {
  const { contents } = parseDocument(text)
  if (!isMap(contents)) throw new Failure('invalid-configuration', 'values.yaml is not a map')
  return keysOf(contents, '')
}

function keysOf(map: YAMLMap, prefix: string): ValueKey[] {
  return map.items.flatMap((pair, index) => {
    const path = `${prefix}${keyOf(pair)}`
    const comment = commentOf(map, pair, index)
    const { value } = pair
    // A flow map ({ … }) is a value; a block map is a section.
    if (!isMap(value) || value.flow === true) return [{ path, comment, value: JSON.stringify(plain(value)) }]
    return [{ path, comment, value: null }, ...keysOf(value, `${path}.`)]
  })
}

function keyOf({ key }: Pair): string {
  return isScalar(key) ? String(key.value) : String(key)
}

/** The parser hangs the comment above the first key of a map on the map itself. */
function commentOf(map: YAMLMap, { key }: Pair, index: number): string {
  const own = isScalar(key) ? key.commentBefore : undefined
  const text = own ?? (index === 0 ? map.commentBefore : undefined) ?? ''
  // Only the last paragraph: what stands before an empty line is about the file.
  const last = text.split(/\n\s*\n/).at(-1) ?? ''
  return last.replaceAll(/\s*\n\s*/g, ' ').trim()
}

function plain(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'toJSON' in value && typeof value.toJSON === 'function'
    ? (value.toJSON as () => unknown)()
    : value
}
