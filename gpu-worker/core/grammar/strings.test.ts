import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { matches, parseGbnf } from './gbnf.ts'
import { jsonSchemaToGrammar } from './jsonSchema.ts'

function acceptorOf(schema: unknown): (value: unknown) => boolean {
  const grammar = parseGbnf(jsonSchemaToGrammar(schema))
  return (value) => matches(grammar, JSON.stringify(value)) && matches(grammar, JSON.stringify(value, null, 2))
}

describe('patterns', () => {
  const patterns = [
    '^[a-z]{2,4}$',
    'b',
    '^a',
    'c$',
    '^(foo|ba[rz])+$',
    '^[^"\\\\]*$',
    '^\\d{3}-\\w+\\s?\\S$',
    '^.\\.?$',
    '^(?:a|b(?:c|d)){1,2}$',
    '^[\\w.-]+@x$',
    '^\\u0041\\x42?$',
    '^$',
    '^a|b$',
    '[\\d"]',
    '^(^a|b$)$|q',
  ]

  test('accept exactly the strings that the expression finds', () => {
    const string = fc.string({
      unit: fc.constantFrom(
        'a',
        'b',
        'c',
        'd',
        'f',
        'o',
        'r',
        'z',
        '1',
        '2',
        '3',
        '-',
        '.',
        '@',
        'x',
        ' ',
        '"',
        '\\',
        '\n',
        'é',
        'A',
        'B',
        '漢',
      ),
      maxLength: 8,
    })
    for (const pattern of patterns.slice(0, -1)) {
      const accepts = acceptorOf({ type: 'string', pattern })
      const expression = new RegExp(pattern, 'u')
      fc.assert(
        fc.property(string, (text) => {
          expect([pattern, text, accepts(text)]).toEqual([pattern, text, expression.test(text)])
        }),
        {
          seed: 4,
          numRuns: 400,
          examples: ['', 'abc', 'foobar', '123-ab c', 'a.', 'abcabd', 'bcbd', '"', 'AB', 'ab@x'].map((one) => [one]),
        },
      )
    }
  })

  test.each([
    '(?=a)',
    '(?<!a)b',
    '(a)\\1',
    '\\bword',
    '\\p{L}',
    '(a*)*',
    'a{3,1}',
    '(',
    'a)',
    '[z-a]',
    'a**',
    '(?i)a',
    'a{2001}',
    'x^y',
    '('.repeat(40),
  ])('that are not safe or not regular are refused: %s', (pattern) => {
    expect(() => jsonSchemaToGrammar({ type: 'string', pattern })).toThrow(/"pattern" cannot be turned into a grammar/)
  })
})

test.each([
  ['date', ['2024-02-29', '1999-12-31'], ['2023-02-29', '2024-13-01', '24-01-01']],
  ['time', ['23:59:59Z', '00:00:00.123+02:00'], ['24:00:00Z', '12:00', '12:00:00']],
  ['date-time', ['2024-02-29T12:00:00Z'], ['2024-02-29 12:00:00Z', '2024-02-30T12:00:00Z']],
  ['uuid', ['2eb8aa08-aa98-11ea-b4aa-73b441d16380'], ['2eb8aa08aa9811eab4aa73b441d16380']],
  ['email', ['joe.bloggs@example.com'], ['joe', '@x', 'a b@c.de']],
  ['ipv4', ['192.168.0.1', '0.0.0.0'], ['256.1.1.1', '01.2.3.4', '1.2.3']],
  ['ipv6', ['::1', '2001:db8::ff00:42', '1:2:3:4:5:6:7:8'], ['12345::', '1::2::3', ':1']],
  ['duration', ['P3D', 'PT1H30M', 'P1Y2M'], ['P', 'PT', '3D', 'P1D2H']],
  ['hostname', ['example.com', 'a'], ['-a', 'a..b', '']],
])('the format %s accepts valid values only', (format, valid, invalid) => {
  const accepts = acceptorOf({ type: 'string', format })
  expect(valid.map(accepts)).toEqual(valid.map(() => true))
  expect(invalid.map(accepts)).toEqual(invalid.map(() => false))
})
