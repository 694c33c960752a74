import { expect, test } from 'vitest'
import { isExpected } from './labelledTraffic.ts'

test('contains looks for words, wherever they stand and however they are written', () => {
  expect(isExpected('The capital is PARIS.', ['Paris'], 'contains')).toBe(true)
  expect(isExpected('New  Delhi!', ['new delhi'], 'contains')).toBe(true)
  expect(isExpected('Comparison', ['Paris'], 'contains')).toBe(false)
  expect(isExpected('It is 125', ['12'], 'contains')).toBe(false)
  expect(isExpected('Kyiv', ['Kiev', 'Kyiv'], 'contains')).toBe(true)
})

test('exact is the whole answer but for case, spaces and marks at its ends', () => {
  expect(isExpected(' "Paris." ', ['paris'], 'exact')).toBe(true)
  expect(isExpected('Paris, France', ['Paris'], 'exact')).toBe(false)
})

test('number is the last one that is said', () => {
  expect(isExpected('17 + 25 = 42', ['42'], 'number')).toBe(true)
  expect(isExpected('about 1,200.0', ['1200'], 'number')).toBe(true)
  expect(isExpected('-3', ['3'], 'number')).toBe(false)
  expect(isExpected('none', ['3'], 'number')).toBe(false)
})
