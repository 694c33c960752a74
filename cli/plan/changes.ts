/** Which fields of a spec differ, as a person would say it: `engine.slots 8 → 4`. Pure. */

export interface Change {
  readonly field: string
  /** Undefined: it was, or will be, not there. */
  readonly before: unknown
  readonly after: unknown
}

export function changesOf(before: unknown, after: unknown, field = ''): Change[] {
  if (isFields(before) && isFields(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    return names.flatMap((name) => changesOf(before[name], after[name], field === '' ? name : `${field}.${name}`))
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ field, before, after }]
}

export function changeText({ field, before, after }: Change): string {
  if (before === undefined) return `${field} ${shown(after)} (new)`
  if (after === undefined) return `${field} ${shown(before)} (removed)`
  return `${field} ${shown(before)} → ${shown(after)}`
}

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const charactersMax = 60

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax)}…`
}
