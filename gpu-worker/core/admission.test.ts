import { expect, test } from 'vitest'
import { sequencesMax } from './admission.ts'

const tokenMs = (sequences: number) => 40 + 5 * sequences

test('as many run as have their tokens in time', () => {
  expect(sequencesMax({ slots: 16, tpotMs: 86, tokenMs })).toBe(10)
  expect(sequencesMax({ slots: 16, tpotMs: 85, tokenMs })).toBe(9)
  expect(sequencesMax({ slots: 8, tpotMs: 86, tokenMs })).toBe(8)
})

test('at least one, and all where not even one alone is in time', () => {
  expect(sequencesMax({ slots: 16, tpotMs: 43, tokenMs })).toBe(1)
  expect(sequencesMax({ slots: 16, tpotMs: 42, tokenMs })).toBe(16)
})
