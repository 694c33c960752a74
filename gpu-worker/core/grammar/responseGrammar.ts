/** Which grammar a `response_format` asks for. */
import type { ResponseFormat } from '#contracts/sampling.ts'
import { jsonObjectGrammar, jsonSchemaToGrammar } from './jsonSchema.ts'

/** GBNF with the root rule `root`, or null where any text will do. Throws `Failure('invalid-request')`. */
export function responseGrammar(format: ResponseFormat): string | null {
  switch (format.type) {
    case 'text':
      return null
    case 'json_object':
      return jsonObjectGrammar()
    case 'json_schema':
      return jsonSchemaToGrammar(format.schema)
    default:
      return format satisfies never
  }
}
