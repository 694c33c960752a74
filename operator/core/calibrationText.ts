/**
 * Texts of a ConfigMap as references and calibrations, or every mistake in them with its line and field. Pure; the operator reads what
 * people keep with it, and the command that writes them what it is given.
 */
import type * as z from 'zod'
import { CascadeCalibration, CascadeReference } from '#contracts/calibration.ts'
import { limits } from '#contracts/limits.ts'
import { shortened } from './shortened.ts'

export type ReadText<T> =
  | { readonly kind: 'read'; readonly value: T }
  /** As in `line 3: correct: is missing`. */
  | { readonly kind: 'problems'; readonly problems: readonly string[] }

const { calibration: bounds } = limits
/** More would not be read, and a condition's message has an end. */
const problemsMax = 5
const problemCharactersMax = 500

/** One JSON object per line; empty lines are passed over. At least one reference. */
export function readReferences(text: string): ReadText<readonly CascadeReference[]> {
  const size = Buffer.byteLength(text)
  if (size > bounds.referencesBytesMax) return broken([`${size} bytes; at most ${bounds.referencesBytesMax}`])
  const lines = text.split('\n').flatMap((line, i) => (line.trim() === '' ? [] : [{ line, number: i + 1 }]))
  const references: CascadeReference[] = []
  const problems: string[] = []
  for (const { line, number } of lines) {
    const read = readJsonLine(CascadeReference, line)
    if (read.kind === 'read') references.push(read.value)
    else problems.push(...read.problems.map((problem) => `line ${number}: ${problem}`))
  }
  if (problems.length > 0) return broken(problems)
  if (references.length === 0) return broken(['no reference; one JSON object per line: question, answer, correct'])
  if (references.length <= bounds.referencesMax) return { kind: 'read', value: references }
  return broken([`${references.length} references; at most ${bounds.referencesMax}`])
}

/** One line; problems name the field only. */
export function readJsonLine<T>(schema: z.ZodType<T>, line: string): ReadText<T> {
  const value = parsed(line)
  if (value === undefined) return broken(['is not JSON'])
  const { data, error } = schema.safeParse(value.json)
  return error === undefined ? { kind: 'read', value: data } : broken(mistakesOf(error.issues).map(({ text }) => text))
}

export const readCascadeCalibration = (text: string): ReadText<CascadeCalibration> =>
  readDocument(CascadeCalibration, text, bounds.documentBytesMax)

/** One JSON document. */
export function readDocument<T>(schema: z.ZodType<T>, text: string, bytesMax: number): ReadText<T> {
  const size = Buffer.byteLength(text)
  if (size > bytesMax) return broken([`${size} bytes; at most ${bytesMax}`])
  const value = parsed(text)
  if (value === undefined) return broken(['is not JSON'])
  const { data, error } = schema.safeParse(value.json)
  if (error === undefined) return { kind: 'read', value: data }
  const lineOf = linesOf(text)
  return broken(mistakesOf(error.issues).map(({ path, text: said }) => `line ${lineOf(path)}: ${said}`))
}

function parsed(text: string): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(text) }
  } catch {
    // What is wrong with it is said in the caller's words: the parser's own would quote the text.
    return undefined
  }
}

/** Problems quote what people wrote, which has no end. */
function broken(found: readonly string[]): { kind: 'problems'; problems: readonly string[] } {
  const problems = found.map((problem) => shortened(problem, problemCharactersMax))
  if (problems.length <= problemsMax) return { kind: 'problems', problems }
  const more = `and ${problems.length - problemsMax} more`
  return { kind: 'problems', problems: [...problems.slice(0, problemsMax), more] }
}

interface Mistake {
  readonly path: readonly PropertyKey[]
  readonly text: string
}

function mistakesOf(issues: readonly z.core.$ZodIssue[]): Mistake[] {
  return issues.flatMap((issue): Mistake[] => {
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => mistake([...issue.path, key], 'no such field; check the spelling'))
    const isMissing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined')
    return [mistake(issue.path, isMissing ? 'is missing' : issue.message)]
  })
}

function mistake(path: readonly PropertyKey[], message: string): Mistake {
  return { path, text: `${path.length === 0 ? 'the document' : path.map(String).join('.')}: ${message}` }
}

/** Where a field stands, or the nearest thing above it that is there. `text` is JSON that was parsed before. */
function linesOf(text: string): (path: readonly PropertyKey[]) => number {
  const places = keyPlaces(text)
  return (path) => {
    for (let length = path.length; length > 0; length -= 1) {
      const at = places.get(placeOf(path.slice(0, length)))
      if (at !== undefined) return text.slice(0, at).split('\n').length
    }
    return 1
  }
}

const placeOf = (path: readonly PropertyKey[]) => JSON.stringify(path.map(String))
/** A string with the colon that makes it a key, or a mark of structure; what is inside of strings is passed over. */
const marks = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\],]/g

/** Without recursion: whoever nests without end must not end the process. */
function keyPlaces(text: string): Map<string, number> {
  const places = new Map<string, number>()
  const open: (string | number)[] = []
  for (const { 0: mark, 1: colon, index } of text.matchAll(marks)) {
    const last = open.at(-1)
    if (mark === '{') open.push('')
    else if (mark === '[') open.push(0)
    else if (mark === '}' || mark === ']') open.pop()
    else if (mark === ',') {
      if (typeof last === 'number') open[open.length - 1] = last + 1
    } else if (colon !== undefined && open.length <= depthMax) {
      open[open.length - 1] = String(JSON.parse(mark.slice(0, -colon.length)))
      places.set(placeOf(open), index)
    }
  }
  return places
}

/** No document of ours is deeper. */
const depthMax = 8
