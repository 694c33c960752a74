/**
 * What checks by hand are made of. A check gives the same answer as the schema of the message (tests compare them), many times
 * faster: only messages that arrive all the time have one. Rare or large parts are left to their schema.
 */
export type Fields = Record<string, unknown>

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function everyOf(value: unknown, matches: (item: unknown) => boolean): value is readonly unknown[] {
  if (!Array.isArray(value)) return false
  for (let i = 0; i < value.length; i++) if (!matches(value[i])) return false
  return true
}

export const isText = (value: unknown): value is string => typeof value === 'string'
export const isWhole = (value: unknown): value is number => Number.isSafeInteger(value)
export const isCount = (value: unknown): value is number => isWhole(value) && value >= 0
export const isFigure = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
export const isFigureFrom = (value: unknown, min: number): boolean => isFigure(value) && value >= min
export const isPositive = (value: unknown): boolean => isFigure(value) && value > 0

/** Letters, digits, `-` and `_`, 1 to 128 of them: `ids.ts`, without the cost of a regular expression per message. */
export function isId(value: unknown): value is string {
  if (typeof value !== 'string' || value.length === 0 || value.length > 128) return false
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    const isLetter = (code >= 97 && code <= 122) || (code >= 65 && code <= 90)
    if (!isLetter && !(code >= 48 && code <= 57) && code !== 45 && code !== 95) return false
  }
  return true
}
