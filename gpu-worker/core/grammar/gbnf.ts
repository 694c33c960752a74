/**
 * Parser and recogniser of GBNF, the grammar language of llama.cpp, for checking what the converter writes.
 *
 * Not used per token: the native matcher does that. Understands what the converter emits and what hand-written grammars usually
 * hold (no token references). The recogniser follows all stacks at once; stacks share their tails, and equal ones are merged, so
 * the work per character is bounded by the size of the grammar times the nesting of the text.
 */
import assert from 'node:assert/strict'

type Element =
  | { readonly kind: 'set'; readonly negated: boolean; readonly ranges: readonly (readonly [number, number])[] }
  | { readonly kind: 'rule'; readonly rule: number }

type Sequence = readonly Element[]

export interface Grammar {
  /** Alternatives of each rule; rule 0 is `root`. */
  readonly rules: readonly (readonly Sequence[])[]
}

/** Throws an `Error` that says where, for a text that is no grammar. */
export function parseGbnf(text: string): Grammar {
  const parser = new Parser(text)
  parser.parse()
  return { rules: parser.rules() }
}

/** Is the whole text in the grammar? */
export function matches(grammar: Grammar, text: string): boolean {
  const recogniser = new Recogniser(grammar)
  for (const character of text) if (!recogniser.push(character.codePointAt(0) ?? 0)) return false
  return recogniser.isComplete
}

/** Can every rule that is reachable from the root end? A rule that cannot would generate for ever. */
export function canEnd(grammar: Grammar): boolean {
  const ending = new Set<number>()
  for (let grown = true; grown; ) {
    grown = false
    for (const [rule, alternatives] of grammar.rules.entries()) {
      if (ending.has(rule)) continue
      const ends = alternatives.some((sequence) => sequence.every((one) => one.kind === 'set' || ending.has(one.rule)))
      if (ends) ending.add(rule)
      grown ||= ends
    }
  }
  return ending.has(0)
}

interface Frame {
  readonly sequence: Sequence
  readonly index: number
  readonly parent: Frame | null
  readonly children: Map<Sequence, Frame[]>
}

class Recogniser {
  readonly #grammar: Grammar
  #frames = new Set<Frame>()
  /** Frames that continue at the end of the text; `null` in the set means that the text may end here. */
  #isComplete = false
  readonly #top: Frame = { sequence: [], index: 0, parent: null, children: new Map() }

  constructor(grammar: Grammar) {
    this.#grammar = grammar
    this.#settle(new Set(this.#alternatives(0, this.#top)))
  }

  get isComplete(): boolean {
    return this.#isComplete
  }

  /** False where no text may continue with this character. */
  push(codePoint: number): boolean {
    const next = new Set<Frame>()
    for (const frame of this.#frames) {
      const element = frame.sequence[frame.index]
      if (element?.kind === 'set' && isIn(element, codePoint)) next.add(this.#after(frame))
    }
    this.#settle(next)
    return this.#frames.size > 0 || this.#isComplete
  }

  /** Follows rule references and rule ends until every frame stands before a character. */
  #settle(start: Set<Frame>): void {
    this.#isComplete = false
    this.#frames = new Set()
    const seen = start
    for (const frame of seen) {
      const element = frame.sequence[frame.index]
      if (frame === this.#top) this.#isComplete = true
      else if (element === undefined) seen.add(frame.parent ?? this.#top)
      else if (element.kind === 'set') this.#frames.add(frame)
      else for (const inner of this.#alternatives(element.rule, this.#after(frame))) seen.add(inner)
    }
  }

  #after(frame: Frame): Frame {
    assert(frame.parent !== null)
    return this.#frame(frame.sequence, frame.index + 1, frame.parent)
  }

  #alternatives(rule: number, parent: Frame): Frame[] {
    // A rule whose caller has nothing left continues where the caller would: keeps right recursion from growing stacks.
    let home = parent
    while (home.parent !== null && home.index === home.sequence.length) home = home.parent
    return (this.#grammar.rules[rule] ?? []).map((sequence) => this.#frame(sequence, 0, home))
  }

  /** One frame per (sequence, index, parent): equal stacks are the same object. */
  #frame(sequence: Sequence, index: number, parent: Frame): Frame {
    let places = parent.children.get(sequence)
    if (places === undefined) parent.children.set(sequence, (places = []))
    places[index] ??= { sequence, index, parent, children: new Map() }
    return places[index]
  }
}

function isIn(element: Element & { kind: 'set' }, codePoint: number): boolean {
  return element.ranges.some(([low, high]) => codePoint >= low && codePoint <= high) !== element.negated
}

const repetitionsMax = 2_000

class Parser {
  readonly #text: string
  #at = 0
  readonly #numbers = new Map<string, number>([['root', 0]])
  readonly #rules: (Sequence[] | undefined)[] = []

  constructor(text: string) {
    this.#text = text
  }

  parse(): void {
    this.#space(true)
    while (this.#at < this.#text.length) this.#rule()
  }

  rules(): Sequence[][] {
    return [...this.#numbers].map(([name, number]) => {
      const rule = this.#rules[number]
      if (rule === undefined) throw new Error(`rule "${name}" is not defined`)
      return rule
    })
  }

  #rule(): void {
    const number = this.#number(this.#name())
    this.#space(false)
    this.#expect('::=')
    this.#space(true)
    this.#rules[number] = this.#alternatives(false)
    if (this.#at < this.#text.length && this.#text[this.#at] !== '\n') this.#fail('end of line')
    this.#space(true)
  }

  #alternatives(isNested: boolean): Sequence[] {
    const alternatives = [this.#sequence(isNested)]
    while (this.#text[this.#at] === '|') {
      this.#at += 1
      this.#space(true)
      alternatives.push(this.#sequence(isNested))
    }
    return alternatives
  }

  #sequence(isNested: boolean): Sequence {
    const done: Element[] = []
    for (;;) {
      const item = this.#item()
      if (item === null) return done
      this.#space(isNested)
      done.push(...this.#repeated(item))
      this.#space(isNested)
    }
  }

  #item(): Element[] | null {
    const next = this.#text[this.#at] ?? ''
    if (next === '"') return this.#literal()
    if (next === '[') return [this.#set()]
    if (next === '.') {
      this.#at += 1
      return [{ kind: 'set', negated: true, ranges: [] }]
    }
    if (next === '(') {
      this.#at += 1
      this.#space(true)
      const inner = this.#alternatives(true)
      this.#expect(')')
      return [this.#synthetic(inner)]
    }
    return /[A-Za-z0-9-]/.test(next) ? [{ kind: 'rule', rule: this.#number(this.#name()) }] : null
  }

  #repeated(item: Element[]): Element[] {
    const found = /^(?:[*+?]|\{(\d+)(,?)(\d*)\})/.exec(this.#text.slice(this.#at, this.#at + 20))
    if (found === null) return item
    this.#at += found[0].length
    const [sign, low = '0', comma, high = ''] = found
    const simple = { '*': [0, null], '+': [1, null], '?': [0, 1] }[sign]
    const [least, most] = simple ?? [Number(low), comma === '' ? Number(low) : high === '' ? null : Number(high)]
    assert(least !== undefined && least !== null && most !== undefined)
    // llama.cpp refuses more, or silently drops the upper bound.
    if (least > repetitionsMax || (most ?? 0) > repetitionsMax) this.#fail(`at most ${repetitionsMax} repetitions`)
    const required = Array.from({ length: least }, () => item).flat()
    if (most === null) return [...required, this.#loop(item)]
    let optional: Element | null = null
    for (let i = least; i < most; i++) optional = this.#synthetic([optional === null ? item : [...item, optional], []])
    return optional === null ? required : [...required, optional]
  }

  #loop(item: Element[]): Element {
    const loop = this.#synthetic([])
    this.#rules[loop.rule] = [[...item, loop], []]
    return loop
  }

  #synthetic(alternatives: Sequence[]): Element & { kind: 'rule' } {
    const rule = this.#number(`(${this.#numbers.size})`)
    this.#rules[rule] = alternatives
    return { kind: 'rule', rule }
  }

  #literal(): Element[] {
    const elements: Element[] = []
    this.#at += 1
    while (this.#text[this.#at] !== '"') {
      const codePoint = this.#character()
      elements.push({ kind: 'set', negated: false, ranges: [[codePoint, codePoint]] })
    }
    this.#at += 1
    return elements
  }

  #set(): Element {
    this.#at += 1
    const negated = this.#text[this.#at] === '^'
    if (negated) this.#at += 1
    const ranges: [number, number][] = []
    while (this.#text[this.#at] !== ']') {
      const low = this.#character()
      const isRange = this.#text[this.#at] === '-' && this.#text[this.#at + 1] !== ']'
      if (isRange) this.#at += 1
      ranges.push([low, isRange ? this.#character() : low])
    }
    this.#at += 1
    return { kind: 'set', negated, ranges }
  }

  #character(): number {
    const codePoint = this.#text.codePointAt(this.#at)
    if (codePoint === undefined) return this.#fail('a closing quote or bracket')
    const escape = /^\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([tnr\\"[\]]))/.exec(
      this.#text.slice(this.#at, this.#at + 10),
    )
    if (escape === null) {
      if (codePoint === 0x5c) this.#fail('a known escape')
      this.#at += codePoint > 0xffff ? 2 : 1
      return codePoint
    }
    this.#at += escape[0].length
    const hex = escape[1] ?? escape[2] ?? escape[3]
    if (hex !== undefined) return Number.parseInt(hex, 16)
    const letter = escape[4] ?? ''
    return ({ t: '\t', n: '\n', r: '\r' }[letter] ?? letter).codePointAt(0) ?? 0
  }

  #name(): string {
    const name = /^[A-Za-z0-9-]+/.exec(this.#text.slice(this.#at, this.#at + 200))?.[0]
    if (name === undefined) return this.#fail('a rule name')
    this.#at += name.length
    return name
  }

  #number(name: string): number {
    const known = this.#numbers.get(name) ?? this.#numbers.size
    this.#numbers.set(name, known)
    return known
  }

  #space(acrossLines: boolean): void {
    for (;;) {
      const next = this.#text[this.#at]
      if (next === '#') while (this.#at < this.#text.length && this.#text[this.#at] !== '\n') this.#at += 1
      else if (next === ' ' || next === '\t' || (acrossLines && (next === '\n' || next === '\r'))) this.#at += 1
      else return
    }
  }

  #expect(text: string): void {
    if (!this.#text.startsWith(text, this.#at)) this.#fail(text)
    this.#at += text.length
  }

  #fail(expected: string): never {
    throw new Error(`expected ${expected} at "${this.#text.slice(this.#at, this.#at + 30)}"`)
  }
}
