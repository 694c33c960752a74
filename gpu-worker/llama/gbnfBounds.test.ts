import { expect, test } from 'vitest'
import { checkGrammarBounds } from './gbnfBounds.ts'

test.each([
  ['a plain choice', 'root ::= "yes" | "no"'],
  ['counted letters', 'root ::= [a-z]{1,2000}'],
  ['counted items behind an optional tail', 'root ::= ("a" ("," "a"){0,1999})?'],
  ['nested stars of nothing', 'root ::= (("a"*)*)*'],
  ['a few readings of nothing', 'root ::= ("a"?){0,50}'],
  ['parentheses in quotes and classes', `root ::= "${'('.repeat(500)}" [${'('.repeat(500)}] # ${'('.repeat(500)}`],
  [
    'many rules',
    `root ::= r0\n${Array.from({ length: 5_000 }, (_, i) => `r${i} ::= "a" r${i + 1}?`).join('\n')}\nr5000 ::= "b"`,
  ],
])('%s is let through', (_what, gbnf) => {
  expect(() => checkGrammarBounds(gbnf)).not.toThrow()
})

test.each([
  ['no grammar at all', ' \n', 'is empty'],
  ['a NUL', 'root ::= "a\0"', 'NUL'],
  ['counts the wrong way round', 'root ::= [a-z]{2,1}', 'the second number is less'],
  ['endless counts', 'root ::= "a"{0,1000000}', 'more than 2000 times'],
  ['deep parentheses', `root ::= ${'('.repeat(200)}"a"${')'.repeat(200)}`, 'nested deeper than 128'],
  ['too many rules', Array.from({ length: 9_000 }, (_, i) => `r${i} ::= "a"`).join('\n'), 'more than 8192 rules'],
  ['many readings of nothing', 'root ::= ("a"?){0,200}', 'in 200 ways'],
  ['nested readings of nothing', 'root ::= (("a"?){0,20}){0,20}', 'in 400 ways'],
  ['readings of nothing behind a rule', 'root ::= x{0,20}\nx ::= y{0,20}\ny ::= "a" | ""', 'in 400 ways'],
  ['an empty alternative', 'root ::= ("a" |){0,51}', 'in 51 ways'],
  ['too much text', `root ::= "${'a'.repeat(300_000)}"`, 'characters'],
])('%s is refused with the reason', (_what, gbnf, reason) => {
  expect(() => checkGrammarBounds(gbnf)).toThrow(reason)
})
