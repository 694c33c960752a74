import { expect, test } from 'vitest'
import { confidenceRule } from './stopping/stopRule.ts'
import { createThresholdController } from './threshold.ts'
import { chainOf } from './tokenTree.ts'

const controller = createThresholdController(confidenceRule({ rejectedMax: 0.7 }))
const sequence = { key: 1, contextTokens: 10, tokensMax: 6, methods: ['ngram', 'draft'] as const }
const cut = (confidence: number[]) =>
  controller.cuts([sequence], [{ key: 1, method: 'ngram', tree: chainOf(confidence.map((_, i) => i)), confidence }], {
    promptTokens: 0,
    rowsMax: 64,
  })

test('it asks the preferred proposer for as much as it may', () => {
  expect(controller.asks([sequence, { ...sequence, key: 2, tokensMax: 0 }], { promptTokens: 0, rowsMax: 64 })).toEqual([
    { key: 1, method: 'ngram', tokensMax: 6, depthMax: 6, stopsEarly: true },
  ])
})

test('it verifies a draft as long as all of it is likely enough', () => {
  expect(cut([1, 0.95, 0.9, 0.8, 0.7, 0.5])).toEqual([{ key: 1, nodes: 5 }])
  expect(cut([0.9, 0.9])).toEqual([{ key: 1, nodes: 2 }])
  expect(cut([0.1, 0.9])).toEqual([{ key: 1, nodes: 0 }])
  expect(cut([])).toEqual([{ key: 1, nodes: 0 }])
})
