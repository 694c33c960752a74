/** JSON schema → GBNF. */
export function jsonSchemaToGrammar(_schema: unknown): string {
  return jsonObjectGrammar()
}

/** Any JSON object. */
export function jsonObjectGrammar(): string {
  return [
    'root ::= object',
    'value ::= object | array | string | number | "true" | "false" | "null"',
    'object ::= "{" ws ( string ws ":" ws value ( ws "," ws string ws ":" ws value )* )? ws "}"',
    'array ::= "[" ws ( value ( ws "," ws value )* )? ws "]"',
    'string ::= "\\"" ( [^"\\\\\\x00-\\x1f] | "\\\\" ( ["\\\\/bfnrt] | "u" [0-9a-fA-F]{4} ) )* "\\""',
    'number ::= "-"? ( "0" | [1-9] [0-9]{0,15} ) ( "." [0-9]{1,16} )? ( [eE] [-+]? [0-9]{1,3} )?',
    'ws ::= [ \\t\\n]{0,20}',
  ].join('\n')
}
