import { expect, test } from 'vitest'
import { curveFrom } from '#algorithms/costCurve.ts'
import { createThresholdController } from './threshold.ts'
import { chainOf } from './tokenTree.ts'

/** A second row takes `rowShare` of the first. */
function controllerWith(rowShare: number) {
  const rows = [1, 2, 4, 8, 16]
  const ms = [rows.map((count) => 10 * (1 + rowShare * (count - 1)))]
  const curve = curveFrom({ rows, contexts: [128], ms, promptTokensPerSecond: 1_000, origin: 'measured' })
  if (curve === null) throw new Error('no curve')
  return createThresholdController({ curve: () => curve, layout: 'split' })
}

const sequence = { key: 1, contextTokens: 10, tokensMax: 6, methods: ['ngram', 'draft'] as const }
const step = { promptTokens: 0, rowsMax: 64 }
const proposal = (confidence: number[]) =>
  ({ key: 1, method: 'ngram', tree: chainOf(confidence.map((_, i) => i)), confidence }) as const

test('it asks the preferred proposer for as much as it may, and says where to stop', () => {
  const asks = controllerWith(0.25).asks([sequence, { ...sequence, key: 2, tokensMax: 0 }], step)
  expect(asks).toMatchObject([{ key: 1, method: 'ngram', tokensMax: 6, depthMax: 6 }])
  // Two sequences: two more rows take 5 ms, a step of two 12.5.
  expect(asks[0]?.rejectedMax).toBeCloseTo(12.5 / 17.5, 9)
  expect(controllerWith(0.25).asks([{ ...sequence, tokensMax: 0 }], step)).toEqual([])
})

test('it verifies a draft as long as all of it is likely enough', () => {
  // One more row takes three sevenths of a step, so that the threshold is 0.7.
  const controller = controllerWith(3 / 7)
  controller.asks([sequence], step)
  const cut = (confidence: number[]) => controller.cuts([sequence], [proposal(confidence)], step)
  expect(cut([1, 0.95, 0.9, 0.8, 0.7, 0.5])).toEqual([{ key: 1, nodes: 5 }])
  expect(cut([0.9, 0.9])).toEqual([{ key: 1, nodes: 2 }])
  expect(cut([0.1, 0.9])).toEqual([{ key: 1, nodes: 0 }])
  expect(cut([])).toEqual([{ key: 1, nodes: 0 }])
})

test('where rows are dear, or proposing is, it stops earlier', () => {
  const confidence = [0.9, 0.8, 0.7, 0.6]
  const nodesWith = (rowShare: number, draftMs: number) => {
    const controller = controllerWith(rowShare)
    controller.asks([sequence], step)
    const rounds = [{ key: 1, method: 'ngram', proposed: 4, verified: 4, accepted: 0, depth: 4 }] as const
    controller.learn({ rounds, plain: [], draftMs: { ngram: draftMs }, decodeMs: 10 })
    controller.asks([sequence], step)
    return controller.cuts([sequence], [proposal(confidence)], step)[0]?.nodes
  }
  expect(nodesWith(0.02, 0)).toBe(4)
  expect(nodesWith(0.7, 0)).toBe(3)
  expect(nodesWith(0.7, 60)).toBe(2)
})
