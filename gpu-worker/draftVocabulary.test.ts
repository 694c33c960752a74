import { expect, test } from 'vitest'
import { type TokenMeanings, vocabularyFault } from './draftVocabulary.ts'

const target: TokenMeanings = {
  vocabularySize: 300,
  beginToken: 1,
  endOfGeneration: [2],
  spell: (token) => `t${token}`,
}
const fault = (more: Partial<TokenMeanings>) => vocabularyFault(target, { ...target, ...more })

test('the same vocabulary fits, and so does one with some ids more or fewer at its end', () => {
  expect(fault({})).toBeNull()
  expect(fault({ vocabularySize: 320 })).toBeNull()
  expect(fault({ vocabularySize: 280 })).toBeNull()
})

test('what differs is named', () => {
  expect(fault({ vocabularySize: 600 })).toContain('600')
  expect(fault({ beginToken: null })).toContain('begins')
  expect(fault({ spell: (token) => (token === 77 ? 'x' : `t${token}`) })).toContain('token 77 is "x"')
  expect(fault({ endOfGeneration: [2, 5] })).toContain('token 5 ends')
})
