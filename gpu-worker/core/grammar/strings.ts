/** Strings: lengths, patterns and formats, as grammars of JSON strings. */
import type { Alternative } from './alternatives.ts'
import { formatExpression } from './formats.ts'
import { anchored, anyCharacter, lengthsOf, PatternRefusal, patternExpression } from './pattern.ts'
import { parsePattern } from './patternParser.ts'
import { refuse } from './schemaDocument.ts'
import { type GrammarWriter, repeated, repetitionsMax } from './writer.ts'

/** Null where no string fits. */
export function stringExpression(one: Alternative, writer: GrammarWriter): string | null {
  const { lengthMin, lengthMax } = one
  if (lengthMin > lengthMax) return null
  const expression = expressionOf(one.pattern)
  if (expression !== null) return writer.rule(patterned(one, expression, writer))
  if (lengthMin > repetitionsMax) refuse(one.origin, 'minLength', `must be at most ${repetitionsMax}`)
  // A longer maximum is met by shorter strings: the native matcher knows no longer repetition.
  const most = lengthMax === Number.POSITIVE_INFINITY ? null : Math.min(lengthMax, repetitionsMax)
  return writer.rule(`"\\"" ${most === 0 ? '' : repeated(writer.rule(anyCharacter), lengthMin, most)} "\\""`)
}

function expressionOf(pattern: Alternative['pattern']): string | null {
  if (pattern === null) return null
  const { kind, text } = pattern
  return kind === 'format' ? (formatExpression(text) ?? null) : text
}

function patterned(one: Alternative, expression: string, writer: GrammarWriter): string {
  const keyword = one.pattern?.kind ?? 'pattern'
  try {
    const pattern = anchored(parsePattern(expression))
    const lengths = lengthsOf(pattern)
    if (lengths.min < one.lengthMin || lengths.max > one.lengthMax) {
      refuse(
        one.origin,
        keyword,
        'together with "minLength" or "maxLength" cannot be expressed; put the length into the pattern',
      )
    }
    return `"\\"" (${patternExpression(pattern, writer)}) "\\""`
  } catch (cause) {
    if (!(cause instanceof PatternRefusal)) throw cause
    return refuse(one.origin, keyword, `cannot be turned into a grammar: ${cause.message}`)
  }
}
