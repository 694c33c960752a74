/**
 * Number ranges as digit grammars: the strings of exactly the numbers within the bounds, in plain decimal notation.
 *
 * Numbers have at most `digitsMax` digits before and after the point, so that a model cannot write digits for ever. Bounds are
 * compared digit by digit in decimal, never as floating point.
 */
/** Enough for every number that JavaScript writes without an exponent. */
export const digitsMax = 24

export interface NumberRange {
  readonly min: number | null
  readonly minExclusive: boolean
  readonly max: number | null
  readonly maxExclusive: boolean
}

/** Expression for the integers from `min` to `max`, or null where there is none. */
export function integerBetween(min: bigint | null, max: bigint | null): string | null {
  const parts: string[] = []
  if (min === null || min < 0n) {
    const negative = naturalBetween(max !== null && max < 0n ? -max : 1n, min === null ? null : -min)
    if (negative !== null) parts.push(`"-" (${negative})`)
  }
  if (max === null || max >= 0n) {
    const natural = naturalBetween(min !== null && min > 0n ? min : 0n, max)
    if (natural !== null) parts.push(natural)
  }
  return parts.length === 0 ? null : parts.join(' | ')
}

/** Expression for the numbers in the range, or null where there is none. */
export function numberBetween(range: NumberRange): string | null {
  const { min, minExclusive, max, maxExclusive } = range
  const parts: string[] = []
  if (min === null || min < 0) {
    const low = max !== null && max < 0 ? decimalOf(-max, maxExclusive) : decimalOf(0, true)
    const negative = decimalsBetween(low, min === null ? null : decimalOf(-min, minExclusive))
    if (negative !== null) parts.push(`"-" (${negative})`)
  }
  if (max === null || max >= 0) {
    const low = min !== null && min >= 0 ? decimalOf(min, minExclusive) : decimalOf(0, false)
    const natural = decimalsBetween(low, max === null ? null : decimalOf(max, maxExclusive))
    if (natural !== null) parts.push(natural)
  }
  return parts.length === 0 ? null : parts.join(' | ')
}

/** Integers low … high, both ≥ 0; no upper end: up to `digitsMax` digits, or as many as `low` has. */
function naturalBetween(low: bigint, high: bigint | null): string | null {
  if (high !== null && high < low) return null
  const lengthMin = String(low).length
  const lengthMax = high === null ? Math.max(digitsMax, lengthMin) : String(high).length
  if (lengthMin === lengthMax) return digitsBetween(String(low), high === null ? '9'.repeat(lengthMin) : String(high))
  const parts = [digitsBetween(String(low), '9'.repeat(lengthMin))]
  const wholeMax = high === null ? lengthMax : lengthMax - 1
  if (wholeMax > lengthMin) parts.push(`[1-9] [0-9]{${lengthMin},${wholeMax - 1}}`)
  if (high !== null) parts.push(digitsBetween(`1${'0'.repeat(lengthMax - 1)}`, String(high)))
  return parts.join(' | ')
}

/** Digit strings from `low` to `high`, which are equally long. */
function digitsBetween(low: string, high: string): string {
  if (low === high) return `"${low}"`
  const [a = '', b = ''] = [low[0], high[0]]
  const rest = low.length - 1
  if (/^0*$/.test(low.slice(1)) && /^9*$/.test(high.slice(1))) return [digit(a, b), anyDigits(rest)].join(' ').trim()
  if (a === b) return `"${a}" (${digitsBetween(low.slice(1), high.slice(1))})`
  const parts = [`"${a}" (${digitsBetween(low.slice(1), '9'.repeat(rest))})`]
  if (Number(a) + 1 < Number(b)) parts.push(`${digit(Number(a) + 1, Number(b) - 1)} ${anyDigits(rest)}`)
  parts.push(`"${b}" (${digitsBetween('0'.repeat(rest), high.slice(1))})`)
  return parts.join(' | ')
}

interface Decimal {
  readonly whole: string
  /** Without trailing zeros. */
  readonly fraction: string
  /** The bound itself is outside. */
  readonly strict: boolean
}

function decimalsBetween(low: Decimal, high: Decimal | null): string | null {
  const parts: string[] = []
  const add = (whole: string, from: Rest, to: Rest) => {
    const tail = fractionBetween(from, to)
    if (tail !== null) parts.push(`"${whole}" ${tail}`.trim())
  }
  if (high !== null && BigInt(high.whole) < BigInt(low.whole)) return null
  const fromLow = { digits: low.fraction, strict: low.strict }
  const toHigh = high === null ? null : { digits: high.fraction, strict: high.strict }
  if (high !== null && high.whole === low.whole) add(low.whole, fromLow, toHigh)
  else {
    add(low.whole, fromLow, null)
    const between = naturalBetween(BigInt(low.whole) + 1n, high === null ? null : BigInt(high.whole) - 1n)
    if (between !== null) parts.push(`(${between}) ("." ${fractionDigits})?`)
    if (high !== null) add(high.whole, null, toHigh)
  }
  return parts.length === 0 ? null : parts.join(' | ')
}

/** What the rest of the digits must stay above or below; null: nothing. */
type Rest = { readonly digits: string; readonly strict: boolean } | null
const fractionDigits = `[0-9]{1,${digitsMax}}`

/** The point and digits after it, '' included in the expression where it may be missing; null where nothing fits. */
function fractionBetween(low: Rest, high: Rest): string | null {
  const digits = digitsWithin(low, high)
  if (mayEnd(low, high)) return digits === null ? '' : `("." (${digits}))?`
  return digits === null ? null : `"." (${digits})`
}

function mayEnd(low: Rest, high: Rest): boolean {
  return (low === null || (low.digits === '' && !low.strict)) && (high === null || high.digits !== '' || !high.strict)
}

/** One or more further digits such that the value stays within; null where there are none. */
function digitsWithin(low: Rest, high: Rest): string | null {
  const above = low?.digits === '' && !low.strict ? null : low
  if (above === null && high === null) return fractionDigits
  if (high?.digits === '') return above === null && !high.strict ? `"0"{1,${digitsMax}}` : null
  if (above?.digits === '' && high === null) return `"0"{0,${digitsMax}} [1-9] [0-9]{0,${digitsMax}}`
  const first = Number(above?.digits[0] ?? 0)
  const last = Number(high?.digits[0] ?? 9)
  const parts: string[] = []
  for (let value = first; value <= last; value++) {
    const nextLow = above !== null && value === first ? { digits: above.digits.slice(1), strict: above.strict } : null
    const nextHigh = high !== null && value === last ? { digits: high.digits.slice(1), strict: high.strict } : null
    const part = digitThen(value, nextLow, nextHigh)
    if (part !== null) parts.push(part)
  }
  return parts.length === 0 ? null : parts.join(' | ')
}

function digitThen(value: number, low: Rest, high: Rest): string | null {
  const more = digitsWithin(low, high)
  if (mayEnd(low, high)) return more === null ? `"${value}"` : `"${value}" (${more})?`
  return more === null ? null : `"${value}" (${more})`
}

function digit(low: number | string, high: number | string): string {
  return String(low) === String(high) ? `"${low}"` : `[${low}-${high}]`
}

function anyDigits(count: number): string {
  return count === 0 ? '' : `[0-9]{${count}}`
}

/** Exact decimal digits of what JSON wrote: the shortest text that reads back as the number. */
function decimalOf(value: number, strict: boolean): Decimal {
  const [mantissa = '0', exponent = '0'] = String(value).split('e')
  const [whole = '0', fraction = ''] = mantissa.split('.')
  const shift = Number(exponent)
  const digits = whole + fraction
  const point = whole.length + shift
  const padded = point <= 0 ? '0'.repeat(1 - point) + digits : digits.padEnd(point, '0')
  const split = point <= 0 ? 1 : point
  return { whole: String(BigInt(padded.slice(0, split))), fraction: padded.slice(split).replace(/0+$/, ''), strict }
}
