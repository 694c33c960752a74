import { expect, test } from 'vitest'
import { reasonsIn } from './limitsPage.ts'

test('a bound has the comment above it, and nobody else’s', () => {
  const source = [
    '/** The file. */',
    'export const limits = {',
    '  http: {',
    '    /** First. */',
    '    one: 1,',
    '    two: 2,',
    '    /**',
    '     * Third,',
    '     * in two lines.',
    '     */',
    '    three: 3,',
    '  },',
    '  queue: {',
    '    one: 1,',
    '  },',
    '}',
  ].join('\n')
  expect([...reasonsIn(source)]).toEqual([
    ['http.one', 'First.'],
    ['http.three', 'Third, in two lines.'],
  ])
})
