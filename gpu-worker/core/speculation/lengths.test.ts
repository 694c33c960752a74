import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { curves, curveOf } from '#test/simulate/curves.ts'
import { type LengthProblem, evaluate, planLengths } from './lengths.ts'
import { type KvLayout, ShapeCosts } from './shapes.ts'

const problemOf = (
  gains: readonly (readonly number[])[],
  options: { layout?: KvLayout; name?: keyof typeof curves; draftMs?: number; rowsMax?: number } = {},
): LengthProblem => {
  const { layout = 'split', name = 'smolLm2', draftMs = 0, rowsMax = 512 } = options
  const costs = new ShapeCosts({ curve: () => curveOf(curves[name]), layout })
  const prices = costs.pricesAt({ sequences: gains.length, contextTokens: 256, promptTokens: 0 })
  return { gains, rowsMax, prices, draftMs: (lengths) => draftMs * Math.max(0, ...lengths) }
}
const independent = (rate: number, length = 8) => Array.from({ length }, (_, i) => rate ** (i + 1))

describe('lengths of one step', () => {
  test('are none where nothing pays, and none where nobody may draft', () => {
    expect(planLengths(problemOf([independent(0.3)])).lengths).toEqual([0])
    expect(planLengths(problemOf([[], []])).lengths).toEqual([0, 0])
  })

  test('fall with the load', () => {
    const lengthAt = (sequences: number) =>
      planLengths(problemOf(Array.from({ length: sequences }, () => independent(0.8)))).lengths[0]
    expect([1, 2, 4, 8, 16].map(lengthAt)).toEqual([5, 3, 3, 1, 0])
  })

  test('fall with what drafting costs', () => {
    const lengthAt = (draftMs: number) => planLengths(problemOf([independent(0.8)], { draftMs })).lengths[0] ?? 0
    expect([0, 1, 3].map(lengthAt)).toEqual([5, 3, 0])
  })

  test('are equal in a split cache where sequences are nearly alike, and follow each in a unified one', () => {
    const gains = [0.85, 0.8, 0.75, 0.7].map((rate) => independent(rate))
    const split = planLengths(problemOf(gains)).lengths
    expect(new Set(split).size).toBe(1)
    const unified = planLengths(problemOf(gains, { layout: 'unified' })).lengths
    expect(new Set(unified).size).toBeGreaterThan(1)
    expect([...unified]).toEqual([...unified].sort((a, b) => b - a))
  })

  test('are a pass of their own for the one sequence that copies, where that is cheaper', () => {
    const { lengths } = planLengths(problemOf([independent(0.99, 16), independent(0.05, 16)]))
    expect(lengths[0]).toBeGreaterThan(4)
    expect(lengths[1]).toBe(0)
  })

  test('are never worse than any common length, and keep to the rows', () => {
    const rate = fc.double({ min: 0.05, max: 0.99, noNaN: true })
    const layout = fc.constantFrom<KvLayout>('split', 'unified')
    fc.assert(
      fc.property(fc.array(rate, { minLength: 1, maxLength: 8 }), layout, fc.nat(40), (rates, kind, rowsMax) => {
        const problem = problemOf(
          rates.map((each) => independent(each)),
          { layout: kind, rowsMax, draftMs: 0.2 },
        )
        const plan = planLengths(problem)
        const rows = plan.lengths.reduce((sum, length) => sum + length, 0)
        expect(rows).toBeLessThanOrEqual(rowsMax)
        expect(evaluate(problem, plan.lengths).goodput).toBeCloseTo(plan.goodput, 9)
        for (let length = 0; length * rates.length <= rowsMax && length <= 8; length++)
          expect(plan.goodput).toBeGreaterThanOrEqual(
            evaluate(
              problem,
              rates.map(() => length),
            ).goodput *
              (1 - 1e-9),
          )
      }),
    )
  })
})
