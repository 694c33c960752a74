/**
 * A safe subset of regular expressions, as grammars over the inside of a JSON string.
 *
 * Taken: literals, `.`, classes, \d \w \s and their opposites, groups, alternatives, quantifiers, `^` and `$` at the ends. Refused with
 * a reason: look-around, back-references, word boundaries, Unicode properties, repetition of something that may be empty (native
 * matchers recurse on it for ever). What the grammar accepts always matches the expression; characters that JSON must escape are
 * written escaped, and only in their short forms.
 */
import { type GrammarWriter, literal, repeated, repetitionsMax } from './writer.ts'

export type Range = readonly [low: number, high: number]

export type Pattern =
  | { readonly kind: 'set'; readonly ranges: readonly Range[] }
  | { readonly kind: 'sequence'; readonly items: readonly Pattern[] }
  | { readonly kind: 'choice'; readonly items: readonly Pattern[] }
  | { readonly kind: 'repeat'; readonly item: Pattern; readonly min: number; readonly max: number | null }
  | { readonly kind: 'start' | 'end' }

/** Why an expression is not taken. */
export class PatternRefusal extends Error {}

/** Characters of a JSON string that need no escape. */
export const plainCharacter = '[^"\\\\\\x00-\\x1F]'
/** Every character, in the forms in which a string has exactly as many characters as this is repeated. */
export const anyCharacter = `${plainCharacter} | "\\\\" ( ["\\\\/bfnrt] | "u" ( [0-9A-CEFa-cef] [0-9A-Fa-f]{3} | [Dd] [0-7] [0-9A-Fa-f]{2} ) )`

/** Characters (code points) of the shortest and the longest match. */
export function lengthsOf(pattern: Pattern): { min: number; max: number } {
  switch (pattern.kind) {
    case 'set':
      return { min: 1, max: 1 }
    case 'start':
    case 'end':
      return { min: 0, max: 0 }
    case 'sequence': {
      const lengths = pattern.items.map(lengthsOf)
      return { min: sum(lengths.map(({ min }) => min)), max: sum(lengths.map(({ max }) => max)) }
    }
    case 'choice': {
      const lengths = pattern.items.map(lengthsOf)
      return { min: Math.min(...lengths.map(({ min }) => min)), max: Math.max(...lengths.map(({ max }) => max)) }
    }
    case 'repeat': {
      const inner = lengthsOf(pattern.item)
      const max = inner.max === 0 ? 0 : inner.max * (pattern.max ?? Number.POSITIVE_INFINITY)
      return { min: inner.min * pattern.min, max }
    }
    default:
      return pattern satisfies never
  }
}

/** Grammar for the whole string: an expression without `^` or `$` may have anything before or after it. */
export function anchored(pattern: Pattern): Pattern {
  const branches = pattern.kind === 'choice' ? pattern.items : [pattern]
  return { kind: 'choice', items: branches.map(anchorBranch) }
}

function anchorBranch(branch: Pattern): Pattern {
  const items = branch.kind === 'sequence' ? branch.items : [branch]
  const [first] = items
  const last = items.at(-1)
  // ^(a|b)$ has its anchors outside, (^a|b$) inside: a lone group is looked into.
  if (items.length === 1 && first?.kind === 'choice') return anchored(first)
  const inner = items.slice(first?.kind === 'start' ? 1 : 0, last?.kind === 'end' ? -1 : undefined)
  if (inner.some(holdsAnchor)) throw new PatternRefusal('"^" and "$" are supported at the two ends only')
  return {
    kind: 'sequence',
    items: [...(first?.kind === 'start' ? [] : [anything]), ...inner, ...(last?.kind === 'end' ? [] : [anything])],
  }
}

const anything: Pattern = { kind: 'repeat', item: { kind: 'set', ranges: [[0, 0x10ffff]] }, min: 0, max: null }

function holdsAnchor(pattern: Pattern): boolean {
  switch (pattern.kind) {
    case 'start':
    case 'end':
      return true
    case 'set':
      return false
    case 'repeat':
      return holdsAnchor(pattern.item)
    case 'sequence':
    case 'choice':
      return pattern.items.some(holdsAnchor)
    default:
      return pattern satisfies never
  }
}

/** GBNF expression; alternatives are not put in parentheses. */
export function patternExpression(pattern: Pattern, writer: GrammarWriter): string {
  switch (pattern.kind) {
    case 'start':
    case 'end':
      return '""'
    case 'set':
      return setExpression(pattern.ranges, writer)
    case 'sequence': {
      const parts = pattern.items.map((item) => {
        const expression = patternExpression(item, writer)
        return item.kind === 'choice' ? `(${expression})` : expression
      })
      return parts.length === 0 ? '""' : parts.join(' ')
    }
    case 'choice':
      return pattern.items.map((item) => patternExpression(item, writer)).join(' | ')
    case 'repeat':
      return repeatExpression(pattern, writer)
    default:
      return pattern satisfies never
  }
}

function repeatExpression(pattern: Pattern & { kind: 'repeat' }, writer: GrammarWriter): string {
  const { item, min, max } = pattern
  if (lengthsOf(item).min === 0) throw new PatternRefusal('repetition of something that may be empty is not supported')
  if (min > repetitionsMax || (max ?? 0) > repetitionsMax) {
    throw new PatternRefusal(`at most ${repetitionsMax} repetitions are supported`)
  }
  if (max === 0) return '""'
  return repeated(writer.rule(patternExpression(item, writer)), min, max)
}

const shortEscapes = new Map([
  [0x22, '\\"'],
  [0x5c, '\\\\'],
  [0x08, '\\b'],
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0c, '\\f'],
  [0x0d, '\\r'],
])

/** One character of the set, as it stands in a JSON string: plain, or by its short escape. */
function setExpression(ranges: readonly Range[], writer: GrammarWriter): string {
  const plain = without(ranges, [
    [0, 0x1f],
    [0x22, 0x22],
    [0x5c, 0x5c],
    [0xd800, 0xdfff],
  ])
  const parts: string[] = []
  if (plain.length > 0) parts.push(`[${plain.map(rangeText).join('')}]`)
  for (const [code, escape] of shortEscapes) {
    if (ranges.some(([low, high]) => low <= code && code <= high)) parts.push(literal(escape))
  }
  if (parts.length === 0) throw new PatternRefusal('a character class leaves no character that a JSON string can hold')
  return parts.length === 1 ? (parts[0] ?? '') : writer.rule(parts.join(' | '))
}

function rangeText([low, high]: Range): string {
  return low === high ? characterText(low) : `${characterText(low)}-${characterText(high)}`
}

function characterText(code: number): string {
  const character = String.fromCodePoint(code)
  if (/[A-Za-z0-9]/.test(character)) return character
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`
  return code <= 0xffff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`
}

/** Sorted and disjoint. */
export function without(ranges: readonly Range[], removed: readonly Range[]): Range[] {
  let left = [...ranges]
  for (const [low, high] of removed) {
    left = left.flatMap(([a, b]): Range[] => {
      if (b < low || a > high) return [[a, b]]
      return [...(a < low ? [[a, low - 1] as const] : []), ...(b > high ? [[high + 1, b] as const] : [])]
    })
  }
  return left.sort(([a], [b]) => a - b)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
