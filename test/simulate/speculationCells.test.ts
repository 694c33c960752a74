/** How cells of the speculation table are judged, and the luck that all ways to choose lengths share in them. */
import { describe, expect, test } from 'vitest'
import { expectedTokens } from '../../gpu-worker/core/speculation/expectedLength.ts'
import { type CellSpeeds, judge, overInSum } from '../bench/harness/cellResults.ts'
import { createOracleProposer, rightAtRate, tokensPerStep } from '../bench/harness/oracleProposer.ts'

const cell = { acceptance: 0.7, streams: 1, draftStepShare: 0 }
const judged = (speeds: Partial<CellSpeeds>) =>
  judge({ cell, ours: [10, 10], fixed: new Map([[0, [8, 8]]]), bound: null, ...speeds }, overInSum)

describe('a cell', () => {
  test('has its best fixed length chosen on even rounds and compared on odd ones', () => {
    const fixed = new Map([
      [0, [8, 8]],
      [2, [12, 5]],
      [4, [9, 20]],
    ])
    expect(judged({ fixed })).toMatchObject({ best: 2, overBest: 2, overNone: 1.25, overFour: 0.5 })
  })

  test('does not choose a length that fell out before the end', () => {
    const fixed = new Map([
      [0, [8, 8]],
      [8, [99]],
    ])
    expect(judged({ fixed }).best).toBe(0)
  })

  test('is held against a bound where there is one', () => {
    expect(judged({ bound: [40, 12.5] }).overBound).toBe(0.8)
    expect(judged({}).overBound).toBeNull()
  })
})

describe('synthetic acceptance on a real engine', () => {
  const isRight = rightAtRate(0.7, 3)

  test.each([0, 1, 3, 8])('gains what independent draws gain: length %i', (length) => {
    const gained = tokensPerStep({ isRight, texts: 4, start: 7, tokens: 60_000 }, length)
    expect(gained / expectedTokens(0.7, length)).toBeCloseTo(1, 1.5)
  })

  test('spoils the same places whatever is asked, and no others', () => {
    const text = Array.from({ length: 40 }, (_, i) => 100 + i)
    const proposer = createOracleProposer({ texts: [[1], text], isRight, confidence: 0.7, vocabularySize: 200 })
    for (const [known, tokensMax] of [
      [5, 8],
      [9, 3],
      [38, 8],
    ] as const) {
      const proposals = proposer.propose([{ key: known, tokens: text.slice(0, known), tokensMax, depthMax: tokensMax }])
      if (!Array.isArray(proposals)) throw new Error('an oracle answers at once')
      const [drafted = []] = proposals.map(({ tree }) => tree.tokens)
      expect(drafted).toHaveLength(Math.min(tokensMax, 40 - known))
      expect(drafted.map((token, i) => token === text[known + i])).toEqual(drafted.map((_, i) => isRight(1, known + i)))
    }
  })

  test('has nothing to say of a text that strays from what was written', () => {
    const proposer = createOracleProposer({ texts: [[1, 2, 3, 4]], isRight, confidence: 1, vocabularySize: 9 })
    expect(proposer.propose([{ key: 1, tokens: [1, 7], tokensMax: 2, depthMax: 2 }])).toMatchObject([
      { tree: { tokens: [] } },
    ])
  })
})
