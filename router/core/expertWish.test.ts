import { expect, test } from 'vitest'
import { modelRecord } from '../testing/fakeWorker.ts'
import { splitName, wishOf } from './expertWish.ts'

const experts = [{ name: 'sql' }, { name: 'verse', refusal: 'it is for another base' }]

test('a name is split at its last colon, but never one that somebody has', () => {
  const known = (name: string) => ['smol', 'org:smol'].includes(name)
  expect(splitName('smol', known)).toEqual({ model: 'smol', expert: null })
  expect(splitName('smol:sql', known)).toEqual({ model: 'smol', expert: 'sql' })
  expect(splitName('org:smol', known)).toEqual({ model: 'org:smol', expert: null })
  expect(splitName('org:smol:sql', known)).toEqual({ model: 'org:smol', expert: 'sql' })
})

test('the plain name is for the gate where there is one, and base never is', () => {
  const gate = { sha256: 'a', probabilityMin: 0 }
  expect(wishOf(modelRecord({ experts }), null)).toEqual({ kind: 'none' })
  expect(wishOf(modelRecord({ experts, gate }), null)).toEqual({ kind: 'gate' })
  expect(wishOf(modelRecord({ experts, gate }), 'base')).toEqual({ kind: 'none' })
  expect(wishOf(modelRecord({ experts, gate }), 'sql')).toEqual({ kind: 'named', expert: 'sql' })
})

test('an expert that the pair does not have, or cannot use, is refused with its reason', () => {
  const named =
    (expert: string, of = experts) =>
    () =>
      wishOf(modelRecord({ experts: of }), expert)
  expect(named('law')).toThrow("smol has no expert 'law': it has sql, verse, and base")
  expect(named('law', [])).toThrow("smol has no expert 'law': it has none")
  expect(named('verse')).toThrow("the expert 'verse' of smol cannot be used: it is for another base")
})
