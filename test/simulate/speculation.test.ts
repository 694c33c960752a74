/**
 * Draft lengths by goodput against fixed ones, through the real engine loop on a simulated engine with measured step times: a few
 * cells of the table that `test/bench/speculationTable.ts` measures whole.
 */
import { describe, expect, test } from 'vitest'
import { curves } from './curves.ts'
import { boundOf, type Cell, type Choice, runCell } from './speculationCell.ts'
import { runTrace, type TraceChoice } from './speculationTrace.ts'

const mean = (list: readonly number[]) => list.reduce((sum, value) => sum + value, 0) / list.length
const speed = async (cell: Cell, choice: Choice) =>
  mean(
    await runCell(cell, choice, {
      warmUpSteps: 60,
      roundSteps: Math.max(60, Math.round(300 / cell.streams)),
      rounds: 2,
      seed: 3,
    }),
  )
const cellOf = (cell: Partial<Cell>): Cell => ({
  curve: curves.smolLm2,
  acceptance: 0.8,
  streams: 1,
  draftStepShare: 0.02,
  ...cell,
})

describe('draft lengths by goodput', () => {
  test.each([
    ['one stream that accepts much', { acceptance: 0.9 }, 7],
    ['four streams', { acceptance: 0.8, streams: 4 }, 3],
    ['eight streams of a target that a draft pays for', { curve: curves.billionQ8, acceptance: 0.6, streams: 8 }, 1],
  ])('are as good as the best fixed length: %s', async (_, options, best) => {
    const cell = cellOf(options)
    expect((await speed(cell, 'adaptive')) / (await speed(cell, best))).toBeGreaterThan(0.93)
  })

  test.each([
    ['one stream that accepts little', { acceptance: 0.3 }],
    ['sixteen streams', { acceptance: 0.7, streams: 16 }],
  ])('are none where that is best: %s', async (_, options) => {
    const cell = cellOf(options)
    const adaptive = await speed(cell, 'adaptive')
    expect(adaptive / (await speed(cell, 0))).toBeGreaterThan(0.97)
    expect(adaptive / (await speed(cell, 4))).toBeGreaterThan(1.15)
  })

  test('bring a single stream near what its curve allows', async () => {
    const cell = cellOf({ curve: curves.billionQ8, acceptance: 0.8 })
    expect((await speed(cell, 'adaptive')) / boundOf(cell)).toBeGreaterThan(0.85)
  })
})

describe('a trace that changes its rate eightfold and its acceptance', () => {
  const run = (choice: TraceChoice, admission: 'slots' | 'goodput' = 'slots') =>
    runTrace({ choice, admission, seed: 1, slowPerSecond: 0.2, phases: 6 })

  test('is served as well as lengths alone can, better than by a long fixed one, and no slower', async () => {
    const [adaptive, oracle] = [await run('adaptive'), await run('oracle')]
    expect(adaptive.goodput / oracle.goodput).toBeGreaterThan(0.95)
    // These are the best fixed lengths; `test/bench/speculationTrace.ts` has the others, and what twelve seeds say.
    for (const [choice, gain] of [
      [1, 1],
      [2, 1.05],
      ['table', 0.97],
    ] as const) {
      const other = await run(choice)
      expect(adaptive.goodput / other.goodput, String(choice)).toBeGreaterThan(gain)
      expect(adaptive.tpotP99, String(choice)).toBeLessThanOrEqual(other.tpotP99)
    }
  })

  test('is served better where no more run at once than have their tokens in time', async () => {
    const [all, some] = [await run('adaptive'), await run('adaptive', 'goodput')]
    expect(some.goodput / all.goodput).toBeGreaterThan(1.05)
    expect(some.tpotP99).toBeLessThan(all.tpotP99)
  })
})
