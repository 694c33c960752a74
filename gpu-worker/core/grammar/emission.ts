/**
 * From alternatives to grammar rules: one rule per target, references between them where schemas recurse.
 *
 * White space is allowed where pretty printers put it (after `{ [ , :` and before `} ]`) and bounded, so that a model cannot
 * write blanks for ever.
 */
import { type Alternative, isOfTypes, limitsOnlyTypes, type Target } from './alternatives.ts'
import { arrayExpression } from './arrays.ts'
import type { Expansion } from './expansion.ts'
import { type Grammar, matches, parseGbnf } from './gbnf.ts'
import { digitsMax, integerBetween, numberBetween } from './numbers.ts'
import { objectExpression } from './objects.ts'
import { refuse } from './schemaDocument.ts'
import { stringExpression } from './strings.ts'
import { GrammarWriter, literal } from './writer.ts'

/** Multiples are listed one by one; more than this many would be a big grammar for a small wish. */
const multiplesMax = 1_000

export class Emission {
  readonly expansion: Expansion
  readonly writer: GrammarWriter
  readonly space: string
  readonly #rules = new Map<string, string>()
  readonly #empty = new Set<string>()
  /** Of keywords beside constants, which are often the same everywhere. */
  readonly #grammars = new Map<string, Grammar>()

  constructor(expansion: Expansion, writer: GrammarWriter) {
    this.expansion = expansion
    this.writer = writer
    this.space = writer.rule('( " " | "\\n" [ \\t]{0,32} )?')
  }

  /** Name of the rule for the target, or null where nothing satisfies it. */
  target(target: Target): string | null {
    const key = target.join(' ')
    const known = this.#rules.get(key)
    if (known !== undefined) return this.#empty.has(key) ? null : known
    const name = this.writer.reserve()
    this.#rules.set(key, name)
    const parts = this.expansion.alternatives(target).flatMap((one) => this.#alternative(one))
    if (parts.length === 0) this.#empty.add(key)
    else this.writer.define(name, [...new Set(parts)].join(' | '))
    return parts.length === 0 ? null : name
  }

  /** Expression for the strings that a property's name may be. */
  key(one: Alternative): string[] {
    return this.#alternative({ ...one, types: new Set(['string']) })
  }

  #alternative(one: Alternative): string[] {
    if (one.values !== null) return this.#constants(one)
    return [...one.types].flatMap((type) => {
      switch (type) {
        case 'null':
          return ['"null"']
        case 'boolean':
          return ['"true" | "false"']
        case 'integer':
          return this.#integer(one)
        case 'number':
          return this.#number(one)
        case 'string':
          return listed(stringExpression(one, this.writer))
        case 'array':
          return listed(arrayExpression(one, this))
        case 'object':
          return listed(objectExpression(one, this))
        default:
          return type satisfies never
      }
    })
  }

  #integer(one: Alternative): string[] {
    const low =
      one.min === null ? null : BigInt(Math.ceil(one.min)) + (one.minExclusive && Number.isInteger(one.min) ? 1n : 0n)
    const high =
      one.max === null ? null : BigInt(Math.floor(one.max)) - (one.maxExclusive && Number.isInteger(one.max) ? 1n : 0n)
    const isFree = one.multipleOf === null || Number.isInteger(1 / one.multipleOf)
    if (isFree) return listed(integerBetween(low, high))
    return this.#multiples(one, low, high)
  }

  #multiples(one: Alternative, low: bigint | null, high: bigint | null): string[] {
    const step = one.multipleOf ?? 1
    if (!Number.isInteger(step))
      refuse(one.origin, 'multipleOf', 'must be a whole number, or one divided by one, for integers')
    const size = BigInt(step)
    if (low === null || high === null || (high - low) / size > multiplesMax) {
      refuse(
        one.origin,
        'multipleOf',
        `needs "minimum" and "maximum" with at most ${multiplesMax} multiples between them`,
      )
    }
    const first = low % size === 0n ? low : (low / size + (low > 0n ? 1n : 0n)) * size
    const found: string[] = []
    for (let value = first; value <= high; value += size) found.push(literal(String(value)))
    return found
  }

  #number(one: Alternative): string[] {
    const { min, minExclusive, max, maxExclusive, multipleOf } = one
    const isBounded = min !== null || max !== null
    if (multipleOf !== null) {
      if (Number.isInteger(multipleOf)) return this.#integer(one)
      const digits = String(multipleOf).length - 2
      if (!/^0\.0*1$/.test(String(multipleOf)) || isBounded)
        refuse(one.origin, 'multipleOf', 'of a number must be a power of ten such as 0.01, without bounds')
      return [`"-"? ${this.#whole()} ( "." [0-9]{1,${digits}} )?`]
    }
    if (isBounded) return listed(numberBetween({ min, minExclusive, max, maxExclusive }))
    return [`"-"? ${this.#whole()} ( "." [0-9]{1,${digitsMax}} )? ( [eE] [-+]? [0-9]{1,3} )?`]
  }

  #whole(): string {
    return this.writer.rule(integerBetween(0n, null) ?? '')
  }

  /** Constants that the other keywords beside them allow: asked of the grammar for those keywords. */
  #constants(one: Alternative): string[] {
    const values = [...(one.values ?? [])].map((text) => ({ text, value: JSON.parse(text) as unknown }))
    const typed = values.filter(({ value }) => isOfTypes(value, one.types))
    if (limitsOnlyTypes(one) || typed.length === 0) return typed.map(({ value }) => this.#constant(value))
    const writer = new GrammarWriter()
    const rest = new Emission(this.expansion, writer).#alternative({ ...one, values: null })
    if (rest.length === 0) return []
    const grammar = this.#parsed(writer.text(rest.join(' | ')))
    return typed.filter(({ text }) => matches(grammar, text)).map(({ value }) => this.#constant(value))
  }

  #parsed(text: string): Grammar {
    const known = this.#grammars.get(text)
    if (known !== undefined) return known
    const grammar = parseGbnf(text)
    this.#grammars.set(text, grammar)
    return grammar
  }

  #constant(value: unknown): string {
    const { space } = this
    if (typeof value !== 'object' || value === null) return literal(JSON.stringify(value))
    const parts = Array.isArray(value)
      ? value.map((item: unknown) => this.#constant(item))
      : Object.entries(value).map(
          ([name, item]) => `${literal(`${JSON.stringify(name)}:`)} ${space} ${this.#constant(item)}`,
        )
    const [open, close] = Array.isArray(value) ? ['"["', '"]"'] : ['"{"', '"}"']
    return parts.length === 0
      ? `${open} ${space} ${close}`
      : `${open} ${space} ${parts.join(` "," ${space} `)} ${space} ${close}`
  }
}

function listed(expression: string | null): string[] {
  return expression === null ? [] : [expression]
}
