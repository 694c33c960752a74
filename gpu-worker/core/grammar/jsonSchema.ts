/**
 * JSON schema → GBNF: a grammar whose every text is valid JSON for the schema.
 *
 * Sound by rule: a keyword is enforced exactly, enforced more narrowly, an annotation by the standard, or refused by name with its
 * place. Narrower than the schema: properties come in the order of the schema; undeclared properties appear only where
 * `additionalProperties` says so (or nothing is declared); strings, arrays and digits are bounded; `oneOf` must be told apart.
 * Pure, bounded before it recurses (`schemaDocument.ts`), never fetches anything.
 */
import { Emission } from './emission.ts'
import { Expansion } from './expansion.ts'
import { canEnd, parseGbnf } from './gbnf.ts'
import { refuse, SchemaDocument } from './schemaDocument.ts'
import { GrammarWriter } from './writer.ts'

export interface SchemaOptions {
  /**
   * What the standard allows but nobody wants from a model: properties that an object with declared ones does not name. OpenAI,
   * llama.cpp and others forbid them too; `additionalProperties: true` in the schema brings them back.
   */
  readonly undeclaredProperties: 'allow' | 'forbid'
}

/** GBNF with the root rule `root`. Throws `Failure('invalid-request')` that names the place and the keyword. */
export function jsonSchemaToGrammar(
  schema: unknown,
  options: SchemaOptions = { undeclaredProperties: 'forbid' },
): string {
  const document = new SchemaDocument(schema)
  const expansion = new Expansion(document, options)
  const writer = new GrammarWriter()
  const emission = new Emission(expansion, writer)
  const root = emission.target(['#'])
  if (root === null) refuse('#', '', 'allows no value at all')
  const text = writer.text(`${emission.space} ${root}`)
  if (document.hasReferences && !canEnd(parseGbnf(text)))
    refuse('#', '', 'needs itself inside itself, so that no value of it can end; make the recursive property optional')
  return text
}

/** Any JSON object. */
export function jsonObjectGrammar(): string {
  return jsonSchemaToGrammar({ type: 'object' })
}
