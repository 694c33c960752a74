import { expect, test } from 'vitest'
import { canEnd, matches, parseGbnf } from './gbnf.ts'

const accepts = (grammar: string, text: string) => matches(parseGbnf(grammar), text)

test('literals, sets, alternatives, groups and comments mean what GBNF says', () => {
  const grammar = `# a move and its answer
root ::= "1. " move " " ( # two of them
  move | "resigns" )
move ::= [KQRBN]? [a-h] [1-8]`
  expect(accepts(grammar, '1. e4 Nf6')).toBe(true)
  expect(accepts(grammar, '1. e4 resigns')).toBe(true)
  expect(accepts(grammar, '1. e9 e5')).toBe(false)
  expect(accepts(grammar, '1. e4 ')).toBe(false)
})

test('repetitions have their bounds', () => {
  for (const [sign, accepted] of [
    ['*', [0, 1, 5]],
    ['+', [1, 5]],
    ['?', [0, 1]],
    ['{2}', [2]],
    ['{2,}', [2, 5]],
    ['{1,3}', [1, 2, 3]],
    ['{0,2}', [0, 1, 2]],
  ] as const) {
    const lengths = [0, 1, 2, 3, 4, 5].filter((length) =>
      accepts(`root ::= "<" "ab"${sign} ">"`, `<${'ab'.repeat(length)}>`),
    )
    expect([sign, lengths.filter((length) => [0, 1, 2, 3, 5].includes(length))]).toEqual([
      sign,
      lengths.filter((length) => length !== 4),
    ])
    for (const length of accepted) expect(lengths).toContain(length)
  }
  expect(accepts('root ::= "a"{2,3}', 'aaaa')).toBe(false)
})

test('negated sets, escapes and characters beyond the basic plane are single characters', () => {
  expect(accepts('root ::= [^a\\n\\]]', '\u{1F600}')).toBe(true)
  expect(accepts('root ::= [^a\\n\\]]', ']')).toBe(false)
  expect(accepts('root ::= [\\U0001F600-\\U0001F64F] "\\x41\\u00e9"', '\u{1F603}Aé')).toBe(true)
  expect(accepts('root ::= .', '漢')).toBe(true)
})

test('recursion and ambiguity are followed on all ways at once', () => {
  const nested = 'root ::= "(" root ")" | "x"*'
  expect(accepts(nested, '((xxx))')).toBe(true)
  expect(accepts(nested, '((xxx)')).toBe(false)
  expect(accepts('root ::= "a"* "a"* "a"* "b"', `${'a'.repeat(500)}b`)).toBe(true)
})

test('a text that is no grammar is refused with its place', () => {
  for (const broken of [
    'root ::= "a',
    'root ::= other',
    'root = "a"',
    'root ::= (',
    'root ::= "a"{3001}',
    'other ::= "a"',
  ]) {
    expect(() => parseGbnf(broken)).toThrow()
  }
})

test('a rule that needs itself can never end', () => {
  expect(canEnd(parseGbnf('root ::= "a" root'))).toBe(false)
  expect(canEnd(parseGbnf('root ::= "a" root | "b"'))).toBe(true)
})
