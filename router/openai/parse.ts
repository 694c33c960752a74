/**
 * A body against its schema: either the parsed value, or a Failure that names the first field that is wrong, what was given there,
 * and what to change. Never repeats more than a few characters of what was given.
 */
import type * as z from 'zod'
import { Failure } from '#contracts/failure.ts'

export function parseBody<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new Failure('invalid-request', `the body must be a JSON object; given: ${shown(body)}`)
  const result = schema.safeParse(withoutNulls(body))
  if (result.success) return result.data
  const issue = deepest(result.error.issues[0])
  if (issue === undefined) throw new Failure('invalid-request', 'the body does not have the form of this request')
  throw invalid(issue.path, valueAt(body, issue.path), ruleOf(issue))
}

/** `null` is what clients send for "not set": so the schemas need not say of every field that it may be that, too. */
function withoutNulls(body: object): object {
  const entries = Object.entries(body)
  return entries.some(([, value]) => value === null)
    ? Object.fromEntries(entries.filter(([, value]) => value !== null))
    : body
}

/** `'temperature' is 3: must be at most 2`. */
export function invalid(path: readonly PropertyKey[], given: unknown, rule: string): Failure {
  const param = nameOf(path)
  const what = given === undefined ? `'${param}' is missing` : `'${param}' is ${shown(given)}`
  return new Failure('invalid-request', `${what}: ${rule}`, { param })
}

export function unsupported(param: string, message: string): Failure {
  return new Failure('unsupported', `'${param}' ${message}`, { param })
}

type Issue = z.core.$ZodIssue

/** Within a union, the branch that got furthest into the value says most; where none got in, the union's own message. */
function deepest(issue: Issue | undefined): Issue | undefined {
  if (issue?.code !== 'invalid_union') return issue
  const inner = issue.errors
    .flatMap((branch) => branch.slice(0, 1))
    .filter((candidate) => candidate.path.length > 0)
    .sort((a, b) => b.path.length - a.path.length)[0]
  if (inner === undefined) return issue
  return deepest({ ...inner, path: [...issue.path, ...inner.path] })
}

function ruleOf(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${typeNames[issue.expected] ?? `of type ${issue.expected}`}`
    case 'too_small':
      return `must ${boundVerb(issue.origin)} ${issue.inclusive === false ? 'more than' : 'at least'} ${String(issue.minimum)}${boundUnit(issue.origin)}`
    case 'too_big':
      return `must ${boundVerb(issue.origin)} ${issue.inclusive === false ? 'less than' : 'at most'} ${String(issue.maximum)}${boundUnit(issue.origin)}`
    case 'invalid_value':
      return `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`
    case 'invalid_union':
    case 'invalid_format':
    case 'invalid_key':
    case 'invalid_element':
    case 'not_multiple_of':
    case 'unrecognized_keys':
    case 'custom':
      return issue.message
    default:
      return issue satisfies never
  }
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'an array',
  object: 'an object',
  record: 'an object',
}

const boundVerb = (origin: string) => (origin === 'array' || origin === 'string' || origin === 'record' ? 'have' : 'be')
const boundUnit = (origin: string) =>
  origin === 'array' ? ' items' : origin === 'string' ? ' characters' : origin === 'record' ? ' entries' : ''

/** OpenAI's form: `messages[0].content`. */
function nameOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (name, key) => (typeof key === 'number' ? `${name}[${key}]` : name === '' ? String(key) : `${name}.${String(key)}`),
    '',
  )
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = Reflect.get(at, key)
  }
  return at
}

const shownCharactersMax = 48

function shown(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : `an array of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length <= shownCharactersMax ? text : `${text.slice(0, shownCharactersMax)}…`
}
