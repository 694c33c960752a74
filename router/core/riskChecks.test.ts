import { describe, expect, test } from 'vitest'
import { lastNumber, valueOfSum } from './arithmetic.ts'
import { type Check, redacted, runCheck } from './riskChecks.ts'

describe('the value of a sum in a text', () => {
  test.each([
    ['What is 2 + 3 * 4?', 14],
    ['Compute (2+3)*4 - 1.', 19],
    ['12 × 12 ÷ 6', 24],
    ['Say -3 + 5, please', 2],
    ['7/2 and then 1 + 2 + 3 + 4', 10],
    ['half of 3.5 + 1.5', 5],
    ['4 + 4 . . ', 8],
  ])('%s', (text, value) => expect(valueOfSum(text)).toBe(value))

  test.each(['no numbers', 'route 66', '1 / 0', '2 + ', '(((1 + 2)', '1 + + 2 )', 'on 2026-'])(
    '%s holds none',
    (text) => expect(valueOfSum(text)).toBeNull(),
  )

  test('brackets as deep as nobody writes them are none, and take no stack', () => {
    expect(valueOfSum(`${'('.repeat(10_000)}1+1${')'.repeat(10_000)}`)).toBeNull()
  })

  test('of an answer the last number counts', () => {
    expect(lastNumber('2 + 2 = 4, so 1,004.5')).toBe(1_004.5)
    expect(lastNumber('none')).toBeNull()
  })
})

describe('checks', () => {
  const validator = (check: 'json' | 'number' | 'date' | 'url' | 'complete' | 'arithmetic'): Check => ({
    kind: 'validator',
    of: 'answer',
    check,
  })
  const holds = (check: Check, answer: string, question = '') => runCheck(check, { question, answer })

  test.each([
    ['json', '{"a": [1, 2]}', '{"a": [1, 2}'],
    ['number', ' -12.5 ', '12 apples'],
    ['date', '2024-02-29', '2026-02-29'],
    ['url', 'https://example.org/a?b=c', 'example.org'],
    ['complete', 'It is done."', 'It is'],
  ] as const)('%s', (check, right, wrong) => {
    expect(holds(validator(check), right)).toBe(0)
    expect(holds(validator(check), wrong)).toBe(-1)
  })

  test('a sum is checked against its value, and says nothing where there is none', () => {
    expect(holds(validator('arithmetic'), 'That makes 42.', 'What is 6 * 7?')).toBe(0)
    expect(holds(validator('arithmetic'), 'That makes 41.', 'What is 6 * 7?')).toBe(-1)
    expect(holds(validator('arithmetic'), 'Paris', 'Capital of France?')).toBeNull()
  })

  test('an expression says where it is found, in the text that it is for', () => {
    const check: Check = { kind: 'expression', of: 'question', pattern: 'refund', ignoreCase: true }
    expect(holds(check, 'refund', 'I want a REFUND')).toBe(9)
    expect(holds(check, 'refund', 'hello')).toBe(-1)
  })

  test('a JSON Schema is one of the parsed answer', () => {
    const schema = { type: 'object', properties: { sum: { type: 'integer' } }, required: ['sum'] }
    expect(holds({ kind: 'jsonSchema', schema }, '{"sum": 3}')).toBe(0)
    expect(holds({ kind: 'jsonSchema', schema }, '{"sum": "3"}')).toBe(-1)
    expect(holds({ kind: 'jsonSchema', schema }, 'three')).toBe(-1)
  })
})

test('redactions take everything out that they find, and write what stands in its place as it is', () => {
  const rules = [
    { pattern: '\\d{4,}', with: '$&' },
    { pattern: '[\\w.]+@[\\w.]+', with: '[mail]' },
  ]
  expect(redacted('card 12345, then 67890, to a.b@c.org', rules)).toBe('card $&, then $&, to [mail]')
})
