/**
 * What may be asked of llama.cpp's grammar engine, checked on the text before native code sees it. Pure.
 *
 * The engine follows every way of reading a text at once and cannot be interrupted. Counted repetitions of something that may
 * be empty have many readings of nothing: `("a"?){0,200}` takes 24 s for one mask over 49k tokens, `(("a"?){0,20}){0,20}` never
 * opens. `{2,1}` takes all memory. Recursion in its parser follows the nesting of parentheses. Each has a bound here.
 */
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'

export const nestingMax = 128
export const rulesMax = 8_192
/** llama.cpp's own bound; it treats some counts above it as endless without a word. */
export const repetitionsMax = 2_000
/** Ways of reading nothing: 50 cost 27 ms a mask, 100 already 700 ms. */
export const emptyReadingsMax = 50

/** What is known of a piece of grammar: may it be empty, and in how many ways at most. */
interface Piece {
  readonly nullable: boolean
  readonly readings: number
}

interface Frame {
  /** The alternative so far. */
  nullable: boolean
  readings: number
  /** Any alternative before. */
  anyNullable: boolean
  last: Piece | undefined
}

const tokenPattern =
  /#[^\n]*|"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|(?<rule>[\w-]+)\s*::=|(?<reference>[\w-]+)|[().|?*+]|\{(?<low>\d+)(?<comma>,?)(?<high>\d*)\}/gs
const solid: Piece = { nullable: false, readings: 1 }

export function checkGrammarBounds(gbnf: string): void {
  if (gbnf.trim() === '') throw refused('is empty')
  if (gbnf.length > limits.request.grammarBytesMax)
    throw refused(`has ${gbnf.length} characters, over ${limits.request.grammarBytesMax}`)
  if (gbnf.includes('\0')) throw refused('holds a NUL character')
  const tokens = [...gbnf.matchAll(tokenPattern)].filter(([text]) => !text.startsWith('#'))
  const rules = new Map<string, Piece>()
  // Each pass carries what is known one reference further; what is still unknown after these is deeper than it is dangerous.
  for (let pass = 0; pass < 8; pass++) {
    if (!readRules(tokens, rules)) return
  }
}

/** One pass over all rules; true where it learned something. */
function readRules(tokens: readonly RegExpExecArray[], rules: Map<string, Piece>): boolean {
  let changed = false
  let name: string | undefined
  let count = 0
  let stack: Frame[] = [openFrame()]
  const close = () => {
    const outermost = stack[0]
    if (name === undefined || outermost === undefined) return
    const piece = pieceOf(outermost)
    const known = rules.get(name)
    if (known?.nullable !== piece.nullable || known.readings !== piece.readings) changed = true
    rules.set(name, piece)
  }
  for (const token of tokens) {
    const rule = token.groups?.['rule']
    if (rule === undefined) {
      readToken(stack, token, rules)
      continue
    }
    close()
    name = rule
    stack = [openFrame()]
    if (++count > rulesMax) throw refused(`has more than ${rulesMax} rules`)
  }
  close()
  return changed
}

function readToken(stack: Frame[], token: RegExpExecArray, rules: ReadonlyMap<string, Piece>): void {
  const frame = stack.at(-1)
  if (frame === undefined) return
  const [text] = token
  const reference = token.groups?.['reference']
  const low = token.groups?.['low']
  if (text === '(') {
    if (stack.length > nestingMax) throw refused(`is nested deeper than ${nestingMax} parentheses`)
    stack.push(openFrame())
  } else if (text === ')') {
    // A parenthesis too many is for the parser to refuse.
    if (stack.length > 1) stack.pop()
    const outer = stack.at(-1)
    if (outer !== undefined && outer !== frame) append(outer, pieceOf(frame))
  } else if (text === '|') endAlternative(frame)
  else if (text === '?' || text === '*') repeat(frame, 0, 1)
  else if (text === '+') repeat(frame, 1, 1)
  else if (low !== undefined) repeatCounted(frame, token, Number(low))
  else if (reference !== undefined) append(frame, rules.get(reference) ?? solid)
  else append(frame, text === '""' ? { nullable: true, readings: 1 } : solid)
}

function repeatCounted(frame: Frame, token: RegExpExecArray, low: number): void {
  const comma = token.groups?.['comma'] === ','
  const written = token.groups?.['high'] ?? ''
  const high = written === '' ? (comma ? undefined : low) : Number(written)
  if (high !== undefined && high < low) throw refused(`repeats ${token[0]}: the second number is less than the first`)
  if (Math.max(low, high ?? 0) > repetitionsMax) throw refused(`repeats ${token[0]}: more than ${repetitionsMax} times`)
  repeat(frame, low, high ?? Math.max(1, low))
}

/** The last piece again and again: only what may be empty multiplies the readings. */
function repeat(frame: Frame, low: number, high: number): void {
  const { last } = frame
  if (last === undefined) return
  const readings = last.nullable ? last.readings * Math.max(1, high) : last.readings
  if (readings > emptyReadingsMax)
    throw refused(
      `repeats something that may be empty in ${readings} ways; at most ${emptyReadingsMax} can be followed`,
    )
  frame.readings = Math.max(frame.readings, readings)
  frame.last = { nullable: last.nullable || low === 0, readings }
}

function append(frame: Frame, piece: Piece): void {
  settle(frame)
  frame.last = piece
}

/** The last piece is complete: nothing repeats it any more. */
function settle(frame: Frame): void {
  if (frame.last === undefined) return
  frame.nullable &&= frame.last.nullable
  frame.readings = Math.max(frame.readings, frame.last.readings)
  frame.last = undefined
}

function endAlternative(frame: Frame): void {
  settle(frame)
  frame.anyNullable ||= frame.nullable
  frame.nullable = true
}

function openFrame(): Frame {
  return { nullable: true, readings: 1, anyNullable: false, last: undefined }
}

function pieceOf(frame: Frame): Piece {
  settle(frame)
  return { nullable: frame.nullable || frame.anyNullable, readings: frame.readings }
}

function refused(what: string): Failure {
  return new Failure('invalid-request', `the grammar ${what}`)
}
