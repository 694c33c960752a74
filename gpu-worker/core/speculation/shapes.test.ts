import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { curveFrom } from '#algorithms/costCurve.ts'
import { type BatchShape, passesOf, predictShapeMs, ShapeCosts } from './shapes.ts'

/**
 * SmolLM2-135M Q4_1 on two cores with AMX, split cache, 128 tokens of context. 4 and 8 rows were measured with the shapes below; the
 * other points are the table at 256 tokens of context, scaled to those two.
 */
const curve = curveFrom({
  rows: [1, 2, 3, 4, 6, 8, 12, 16, 32],
  contexts: [128],
  ms: [[4.4, 7.6, 9, 10.3, 12, 13.8, 18.6, 22, 45]],
  promptTokensPerSecond: 1_319,
  origin: 'measured',
})
if (curve === null) throw new Error('the fixture is not a curve')

const ms = (counts: number[], layout: 'split' | 'unified' = 'split', promptTokens = 0) =>
  predictShapeMs(curve, layout, { counts, contextTokens: 128, promptTokens })

describe('passes over the weights', () => {
  test('equal counts are one pass', () => {
    expect(passesOf([2, 2, 2, 2], 'split')).toEqual([8])
    expect(passesOf([], 'split')).toEqual([])
  })

  test.each<[number[], number[]]>([
    [
      [4, 1, 1, 1],
      [4, 3],
    ],
    [
      [4, 3, 2, 1],
      [4, 3, 2, 1],
    ],
    [
      [4, 4, 1, 1],
      [4, 6],
    ],
    [
      [4, 1, 4],
      [3, 3, 3],
    ],
  ])('%j of a split cache are passes of %j rows', (counts, passes) => {
    expect(passesOf(counts, 'split')).toEqual(passes)
    expect(passesOf(counts, 'unified')).toEqual([counts.reduce((sum, count) => sum + count, 0)])
  })

  test('hold every row once, and are no more than the different counts of each run', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 16 }), (counts) => {
        const passes = passesOf(counts, 'split')
        expect(passes.reduce((sum, rows) => sum + rows, 0)).toBe(counts.reduce((sum, count) => sum + count, 0))
        expect(passes.length).toBeLessThanOrEqual(counts.length)
      }),
    )
  })
})

describe('predicted time', () => {
  test.each<[number[], number]>([
    [[2, 2, 2, 2], 13.8],
    [[4, 1, 1, 1], 21.2],
    [[4, 3, 2, 1], 34.3],
    [[4, 4, 1, 1], 23.5],
  ])('of %j is within a tenth of the %f ms that were measured', (counts, measured) => {
    expect(ms(counts) / measured).toBeGreaterThan(0.9)
    expect(ms(counts) / measured).toBeLessThan(1.1)
  })

  test('four unequal counts cost about 2.5 times four equal ones in the split layout, and the same in the unified one', () => {
    expect(ms([4, 3, 2, 1]) / ms([2, 2, 2, 2])).toBeGreaterThan(2.2)
    expect(ms([3, 2, 2, 1], 'unified')).toBe(ms([2, 2, 2, 2], 'unified'))
  })

  test('counts prompt tokens, and beside them draft rows of a unified batch are cheap', () => {
    expect(ms([1, 1], 'split', 100)).toBeCloseTo(ms([1, 1]) + 100 / 1.319, 6)
    const plain = ms([1, 1], 'unified', 100)
    expect(ms([3, 3], 'unified', 100) - plain).toBeLessThan(ms([3, 3], 'unified') - ms([1, 1], 'unified'))
  })
})

describe('what steps really take', () => {
  const costs = () => new ShapeCosts({ curve: () => curve, layout: 'split' })
  const shape = { counts: [4, 1, 1, 1], contextTokens: 128, promptTokens: 0 }
  const priceOf = (subject: ShapeCosts, { counts, ...of }: BatchShape) =>
    subject.pricesAt({ ...of, sequences: counts.length }).stepMs(counts)

  test.each(['split', 'unified'] as const)('is at first what the curve says: %s', (layout) => {
    const subject = new ShapeCosts({ curve: () => curve, layout })
    expect(priceOf(subject, shape)).toBeCloseTo(ms(shape.counts, layout), 9)
  })

  test.each(['split', 'unified'] as const)('leaves out what a prompt takes, drafts or not: %s', (layout) => {
    const subject = new ShapeCosts({ curve: () => curve, layout })
    const price = (counts: number[]) => priceOf(subject, { ...shape, counts, promptTokens: 100 })
    expect(price([1, 1, 1, 1])).toBeCloseTo(ms([1, 1, 1, 1], layout), 9)
    const drafting = ms([3, 3, 3, 3], layout, 100) - ms([1, 1, 1, 1], layout, 100)
    expect(price([3, 3, 3, 3]) - price([1, 1, 1, 1])).toBeCloseTo(drafting, 9)
  })

  test('is learned per kind of shape', () => {
    const subject = costs()
    const before = priceOf(subject, shape)
    const other = { ...shape, counts: [1, 1, 1, 1] }
    for (let i = 0; i < 50; i++) subject.observe(shape, before * 1.3)
    expect(priceOf(subject, shape) / before).toBeCloseTo(1.3, 1)
    expect(priceOf(subject, other)).toBe(priceOf(costs(), other))
  })

  test('one stalled step moves little', () => {
    const subject = costs()
    const before = priceOf(subject, shape)
    subject.observe(shape, before * 1_000)
    expect(priceOf(subject, shape) / before).toBeLessThan(1.1)
  })

  test('a step with a prompt says nothing', () => {
    const subject = costs()
    subject.observe({ ...shape, promptTokens: 50 }, 1_000)
    expect(priceOf(subject, shape)).toBe(priceOf(costs(), shape))
  })
})
