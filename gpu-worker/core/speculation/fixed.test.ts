import { expect, test } from 'vitest'
import type { RunningSequence } from './controller.ts'
import { createFixedController } from './fixed.ts'
import { chainOf } from './tokenTree.ts'

const sequence = (key: number, tokensMax: number): RunningSequence => ({
  key,
  contextTokens: 10,
  tokensMax,
  methods: ['draft', 'ngram'],
})
const lengths = (running: RunningSequence[], rowsMax = 100) =>
  createFixedController()
    .asks(running, { promptTokens: 0, rowsMax })
    .map((ask) => [ask.key, ask.method, ask.tokensMax])

test('all draft as much as the one with the least room may, each by its first method', () => {
  expect(lengths([sequence(1, 8), sequence(2, 3)])).toEqual([
    [1, 'draft', 3],
    [2, 'draft', 3],
  ])
})

test('one that may not draft at all holds nobody back', () => {
  expect(lengths([sequence(1, 8), sequence(2, 0)])).toEqual([[1, 'draft', 8]])
  expect(lengths([sequence(1, 0)])).toEqual([])
})

test('one at its end drafts like the others, so that the batch stays even; alone it drafts no more than it can gain', () => {
  const atEnd = { ...sequence(2, 8), gainMax: 0 }
  expect(lengths([sequence(1, 8), atEnd])).toEqual([
    [1, 'draft', 8],
    [2, 'draft', 8],
  ])
  expect(lengths([{ ...sequence(1, 8), gainMax: 2 }])).toEqual([[1, 'draft', 2]])
  expect(lengths([atEnd])).toEqual([])
})

test('rows are shared; where there is not one for each, nobody drafts', () => {
  expect(lengths([sequence(1, 8), sequence(2, 8)], 7)).toEqual([
    [1, 'draft', 3],
    [2, 'draft', 3],
  ])
  expect(lengths([sequence(1, 8), sequence(2, 8)], 1)).toEqual([])
})

test('whatever is proposed is verified', () => {
  const proposal = { key: 1, method: 'draft', tree: chainOf([4, 5]), confidence: [1, 1] } as const
  const cuts = createFixedController().cuts([sequence(1, 8)], [proposal], { promptTokens: 0, rowsMax: 9 })
  expect(cuts).toEqual([{ key: 1, nodes: 2 }])
})
