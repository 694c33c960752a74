/**
 * The part of CEL that our rules use, so that each rule can be asked what it says without a cluster: literals, fields,
 * comparison, `&&`, `||`, `!`, `-`, `has`, `size`, `matches` and the four macros over lists and keys of maps.
 */
import assert from 'node:assert/strict'

type Scope = Readonly<Record<string, unknown>>
type Expression = (scope: Scope) => unknown

export function evaluateCel(text: string, scope: Scope): unknown {
  const parser = new Parser(tokensOf(text))
  const expression = parser.either()
  parser.end()
  return expression(scope)
}

const tokenPattern = /\s+|'((?:[^'\\]|\\.)*)'|[A-Za-z_]\w*|\d+(?:\.\d+)?|&&|\|\||[=!<>]=|[-!<>()[\].,]/y

interface Token {
  readonly kind: 'name' | 'text' | 'number' | 'sign'
  readonly text: string
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  for (let at = 0; at < text.length; ) {
    tokenPattern.lastIndex = at
    const match = tokenPattern.exec(text)
    assert(match !== null, `not understood: ${text.slice(at)}`)
    at = tokenPattern.lastIndex
    const [all, quoted] = match
    if (quoted !== undefined) tokens.push({ kind: 'text', text: quoted.replaceAll(/\\(.)/g, '$1') })
    else if (/^\w/.test(all)) tokens.push({ kind: /^\d/.test(all) ? 'number' : 'name', text: all })
    else if (all.trim() !== '') tokens.push({ kind: 'sign', text: all })
  }
  return tokens
}

class Parser {
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  end(): void {
    assert(this.#at === this.#tokens.length, `left over: ${this.#tokens[this.#at]?.text}`)
  }

  either(): Expression {
    const parts = this.#row('||', () => this.#row('&&', () => [this.#comparison()]).reduce(both))
    return parts.reduce((a, b) => (scope) => truth(a(scope)) || truth(b(scope)))
  }

  #row(sign: string, part: () => Expression | Expression[]): Expression[] {
    const parts = [part()].flat()
    while (this.#take(sign)) parts.push(...[part()].flat())
    return parts
  }

  #comparison(): Expression {
    const left = this.#difference()
    for (const [sign, compare] of comparisons) {
      if (!this.#take(sign)) continue
      const right = this.#difference()
      return (scope) => compare(left(scope), right(scope))
    }
    return left
  }

  #difference(): Expression {
    const left = this.#not()
    if (!this.#take('-')) return left
    const right = this.#not()
    return (scope) => number(left(scope)) - number(right(scope))
  }

  #not(): Expression {
    if (!this.#take('!')) return this.#member()
    const inner = this.#not()
    return (scope) => !truth(inner(scope))
  }

  #member(): Expression {
    let value = this.#primary()
    for (;;) {
      const owner = value
      if (this.#take('[')) {
        const index = this.either()
        this.#must(']')
        value = (scope) => list(owner(scope))[number(index(scope))]
      } else if (this.#take('.')) {
        const name = this.#next().text
        value = this.#take('(') ? this.#call(name, owner) : (scope) => field(owner(scope), name)
      } else return value
    }
  }

  #primary(): Expression {
    const { kind, text } = this.#next()
    if (kind === 'text') return () => text
    if (kind === 'number') return () => Number(text)
    if (text === '(') {
      const inner = this.either()
      this.#must(')')
      return inner
    }
    if (text === '[') return this.#literal()
    if (!this.#take('(')) return (scope) => scope[text]
    const inner = this.either()
    this.#must(')')
    if (text === 'has') return (scope) => inner(scope) !== undefined
    assert(text === 'size', `unknown function ${text}`)
    return (scope) => sizeOf(inner(scope))
  }

  #literal(): Expression {
    const items = this.#row(',', () => this.either())
    this.#must(']')
    return (scope) => items.map((item) => item(scope))
  }

  #call(name: string, owner: Expression): Expression {
    if (name === 'size') {
      this.#must(')')
      return (scope) => sizeOf(owner(scope))
    }
    if (name === 'matches') {
      const pattern = this.either()
      this.#must(')')
      return (scope) => new RegExp(String(pattern(scope))).test(String(owner(scope)))
    }
    const variable = this.#next().text
    this.#must(',')
    const test = this.either()
    this.#must(')')
    return (scope) => {
      const kept = list(owner(scope)).filter((item) => truth(test({ ...scope, [variable]: item })))
      if (name === 'filter') return kept
      if (name === 'exists') return kept.length > 0
      if (name === 'exists_one') return kept.length === 1
      assert(name === 'all', `unknown macro ${name}`)
      return kept.length === list(owner(scope)).length
    }
  }

  #take(sign: string): boolean {
    const token = this.#tokens[this.#at]
    const isIt = token?.kind === 'sign' && token.text === sign
    if (isIt) this.#at += 1
    return isIt
  }

  #must(sign: string): void {
    assert(this.#take(sign), `expected ${sign}, found ${this.#tokens[this.#at]?.text}`)
  }

  #next(): Token {
    const token = this.#tokens[this.#at]
    assert(token !== undefined, 'ends too early')
    this.#at += 1
    return token
  }
}

const both =
  (a: Expression, b: Expression): Expression =>
  (scope) =>
    truth(a(scope)) && truth(b(scope))

const comparisons: readonly (readonly [string, (a: unknown, b: unknown) => boolean])[] = [
  ['==', (a, b) => a === b],
  ['!=', (a, b) => a !== b],
  ['<=', (a, b) => number(a) <= number(b)],
  ['>=', (a, b) => number(a) >= number(b)],
  ['<', (a, b) => number(a) < number(b)],
  ['>', (a, b) => number(a) > number(b)],
]

function truth(value: unknown): boolean {
  assert(typeof value === 'boolean', `not a truth: ${JSON.stringify(value)}`)
  return value
}

function number(value: unknown): number {
  assert(typeof value === 'number', `not a number: ${JSON.stringify(value)}`)
  return value
}

/** Macros over a map go through its keys. */
function list(value: unknown): unknown[] {
  if (Array.isArray(value)) return value as unknown[]
  assert(typeof value === 'object' && value !== null, `not a list or map: ${JSON.stringify(value)}`)
  return Object.keys(value)
}

const sizeOf = (value: unknown) => (typeof value === 'string' ? value.length : list(value).length)

/** A field that is not there is an error in CEL, except for `has`; here it is undefined, which no comparison takes for a number. */
function field(owner: unknown, name: string): unknown {
  assert(typeof owner === 'object' && owner !== null, `no field ${name} in ${JSON.stringify(owner)}`)
  return (owner as Readonly<Record<string, unknown>>)[name]
}
