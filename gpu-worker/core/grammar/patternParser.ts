/** Reads a regular expression (ECMA-262 as JSON schema uses it) into a `Pattern`. Throws `PatternRefusal` for what is not taken. */
import { type Pattern, PatternRefusal, type Range, without } from './pattern.ts'

const lengthMax = 2_048
const nestingMax = 32

export function parsePattern(source: string): Pattern {
  if (source.length > lengthMax) throw new PatternRefusal(`longer than ${lengthMax} characters`)
  const parser = new PatternParser(Array.from(source))
  return parser.whole()
}

const everything: readonly Range[] = [[0, 0x10ffff]]
const digits: readonly Range[] = [[0x30, 0x39]]
const word: readonly Range[] = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
]
const lineEnds: readonly Range[] = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
]
const spaces: readonly Range[] = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]
const classes: Record<string, readonly Range[]> = {
  d: digits,
  D: without(everything, digits),
  w: word,
  W: without(everything, word),
  s: spaces,
  S: without(everything, spaces),
}
const controls: Record<string, number> = { t: 0x09, n: 0x0a, v: 0x0b, f: 0x0c, r: 0x0d }

class PatternParser {
  readonly #characters: readonly string[]
  #at = 0
  #nesting = 0

  constructor(characters: readonly string[]) {
    this.#characters = characters
  }

  whole(): Pattern {
    const pattern = this.#choice()
    if (this.#at < this.#characters.length) throw new PatternRefusal('a ")" without its "("')
    return pattern
  }

  #choice(): Pattern {
    this.#nesting += 1
    if (this.#nesting > nestingMax) throw new PatternRefusal(`groups nested more than ${nestingMax} deep`)
    const items = [this.#sequence()]
    while (this.#take('|')) items.push(this.#sequence())
    this.#nesting -= 1
    const [only] = items
    return items.length === 1 && only !== undefined ? only : { kind: 'choice', items }
  }

  #sequence(): Pattern {
    const items: Pattern[] = []
    while (this.#at < this.#characters.length && this.#peek() !== '|' && this.#peek() !== ')')
      items.push(this.#quantified())
    const [only] = items
    return items.length === 1 && only !== undefined ? only : { kind: 'sequence', items }
  }

  #quantified(): Pattern {
    const item = this.#atom()
    const counts = this.#counts()
    if (counts === null) return item
    if (item.kind === 'start' || item.kind === 'end') throw new PatternRefusal('a quantifier after "^" or "$"')
    this.#take('?')
    if (this.#counts() !== null) throw new PatternRefusal('two quantifiers in a row')
    return { kind: 'repeat', item, ...counts }
  }

  #counts(): { min: number; max: number | null } | null {
    if (this.#take('*')) return { min: 0, max: null }
    if (this.#take('+')) return { min: 1, max: null }
    if (this.#take('?')) return { min: 0, max: 1 }
    const found = /^\{(\d{1,9})(,?)(\d{0,9})\}/.exec(this.#characters.slice(this.#at, this.#at + 24).join(''))
    if (found === null) return null
    this.#at += found[0].length
    const min = Number(found[1])
    const max = found[2] === '' ? min : found[3] === '' ? null : Number(found[3])
    if (max !== null && max < min) throw new PatternRefusal('a quantifier whose numbers are out of order')
    return { min, max }
  }

  #atom(): Pattern {
    const next = this.#next()
    switch (next) {
      case '^':
        return { kind: 'start' }
      case '$':
        return { kind: 'end' }
      case '.':
        return { kind: 'set', ranges: without(everything, lineEnds) }
      case '(':
        return this.#group()
      case '[':
        return { kind: 'set', ranges: this.#class() }
      case '\\':
        return { kind: 'set', ranges: this.#escape(false) }
      case '*':
      case '+':
      case '?':
        throw new PatternRefusal(`"${next}" with nothing to repeat`)
      default:
        return { kind: 'set', ranges: single(next) }
    }
  }

  #group(): Pattern {
    if (this.#take('?')) {
      const kind = this.#next()
      if (kind === '<' && this.#peek() !== '=' && this.#peek() !== '!') while (this.#next() !== '>');
      else if (kind !== ':') throw new PatternRefusal('look-around and inline flags are not supported')
    }
    const inner = this.#choice()
    if (!this.#take(')')) throw new PatternRefusal('a "(" without its ")"')
    return inner
  }

  #class(): readonly Range[] {
    const negated = this.#take('^')
    const ranges: Range[] = []
    while (!this.#take(']')) {
      const low = this.#classPart()
      const isRange = this.#peek() === '-' && this.#characters[this.#at + 1] !== ']' && low.length === 1
      if (!isRange) {
        ranges.push(...low)
        continue
      }
      this.#at += 1
      const high = this.#classPart()
      const [from, to] = [low[0]?.[0] ?? 0, high[0]?.[1] ?? 0]
      if (high.length !== 1 || low[0]?.[0] !== low[0]?.[1] || from > to)
        throw new PatternRefusal('a character range out of order')
      ranges.push([from, to])
    }
    return without(negated ? without(everything, ranges) : ranges, [])
  }

  #classPart(): readonly Range[] {
    const next = this.#next()
    return next === '\\' ? this.#escape(true) : single(next)
  }

  #escape(inClass: boolean): readonly Range[] {
    const next = this.#next()
    const known = classes[next]
    if (known !== undefined) return known
    const control = controls[next] ?? (inClass && next === 'b' ? 0x08 : undefined)
    if (control !== undefined) return [[control, control]]
    if (next === 'x') return this.#hex(2)
    if (next === 'u') return this.#unicode()
    if (next === '0' && !/\d/.test(this.#peek())) return [[0, 0]]
    if (/[A-Za-z0-9]/.test(next)) throw new PatternRefusal(`"\\${next}" is not supported`)
    return single(next)
  }

  #unicode(): readonly Range[] {
    if (!this.#take('{')) return this.#hex(4)
    let text = ''
    for (let next = this.#next(); next !== '}'; next = this.#next()) text += next
    return this.#code(text)
  }

  #hex(length: number): readonly Range[] {
    const text = this.#characters.slice(this.#at, this.#at + length).join('')
    this.#at += length
    return this.#code(text.length === length ? text : '')
  }

  #code(text: string): readonly Range[] {
    const code = /^[0-9A-Fa-f]{1,6}$/.test(text) ? Number.parseInt(text, 16) : Number.POSITIVE_INFINITY
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
      throw new PatternRefusal('an escape that is no character')
    return [[code, code]]
  }

  #peek(): string {
    return this.#characters[this.#at] ?? ''
  }

  #next(): string {
    const next = this.#characters[this.#at]
    if (next === undefined) throw new PatternRefusal('it ends too early')
    this.#at += 1
    return next
  }

  #take(character: string): boolean {
    const isNext = this.#peek() === character
    if (isNext) this.#at += 1
    return isNext
  }
}

function single(character: string): readonly Range[] {
  const code = character.codePointAt(0) ?? 0
  return [[code, code]]
}
