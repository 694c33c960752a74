/**
 * How a worker ended, in one sentence for a person: code or signal, and the line of its output that says most. Pure.
 */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: string | null
  readonly ageMs: number
  readonly lines: readonly string[]
  /** Why it could not even be started. */
  readonly spawnError: string | null
}

const wordsCharactersMax = 400

export function describeEnd(end: ProcessEnd): string {
  const words = lastWords(end.lines)
  const tail = words === '' ? '' : `; last words: ${words}`
  if (end.spawnError !== null) return `could not be started: ${end.spawnError}`
  const how = end.signal === null ? `exited with code ${end.code}` : `was ended by ${end.signal}`
  return `${how} after ${(end.ageMs / 1_000).toFixed(1)} s${tail}`
}

/** The last line that reports an error, else the last that is no log line at all: a native crash prints no JSON. */
function lastWords(lines: readonly string[]): string {
  const said = lines.map(sayingOf)
  const words = said.findLast(({ kind }) => kind === 'error') ?? said.findLast(({ kind }) => kind === 'plain')
  return (words?.text ?? '').slice(0, wordsCharactersMax)
}

interface Saying {
  readonly kind: 'error' | 'plain' | 'routine'
  readonly text: string
}

function sayingOf(line: string): Saying {
  const record = parseRecord(line)
  if (record === null) return { kind: line.trim() === '' ? 'routine' : 'plain', text: line.trim() }
  const message = typeof record.msg === 'string' ? record.msg : ''
  const { error } = record
  const cause = error !== null && typeof error === 'object' && 'message' in error ? String(error.message) : ''
  const isError = record.level === 'error' || record.level === 'fatal'
  return { kind: isError ? 'error' : 'routine', text: [message, cause].filter((part) => part !== '').join(': ') }
}

function parseRecord(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{')) return null
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    // Cut or torn: shown as it is.
    return null
  }
}
