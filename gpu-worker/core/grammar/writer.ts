/**
 * Collects the rules of one grammar. Equal bodies become one rule, so that shared parts (strings, white space, repeated
 * sub-schemas) are written once; the size is bounded while it grows, not afterwards.
 */
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'

export const schemaParam = 'response_format.json_schema.schema'

/** llama.cpp refuses a lower bound above this and silently drops an upper one. */
export const repetitionsMax = 2_000
/** Native rules that all repetitions together unfold to; each is a few hundred bytes there. */
const unfoldedMax = 40_000

export class GrammarWriter {
  readonly #names = new Map<string, string>()
  readonly #lines: string[] = []
  #bytes = 0
  #unfolded = 0
  #count = 0

  /** The name of a rule with this body. */
  rule(body: string): string {
    const known = this.#names.get(body)
    if (known !== undefined) return known
    const name = this.reserve()
    this.#names.set(body, name)
    this.define(name, body)
    return name
  }

  /** A name for a rule that refers to itself; `define` must follow. */
  reserve(): string {
    this.#count += 1
    return `r${this.#count}`
  }

  define(name: string, body: string): void {
    const line = `${name} ::= ${body}`
    this.#bytes += line.length + 1
    for (const [, least = '0', most = least] of body.matchAll(/\{(\d+)(?:,(\d+))?\}/g)) {
      this.#unfolded += Math.max(Number(least), Number(most))
    }
    if (this.#bytes > limits.request.grammarBytesMax || this.#unfolded > unfoldedMax) {
      throw new Failure(
        'invalid-request',
        'the JSON schema becomes too big a grammar; use fewer or smaller bounds and enums',
        {
          param: schemaParam,
        },
      )
    }
    this.#lines.push(line)
  }

  text(root: string): string {
    return [`root ::= ${root}`, ...this.#lines].join('\n')
  }
}

/** A GBNF literal. */
export function literal(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t')}"`
}

/** `item` between `min` and `max` times (null: no end), where `item` is one rule name, literal character or set. */
export function repeated(item: string, min: number, max: number | null): string {
  if (max === null) return min === 0 ? `${item}*` : min === 1 ? `${item}+` : `${item}{${min},}`
  return min === max ? `${item}{${min}}` : `${item}{${min},${max}}`
}
