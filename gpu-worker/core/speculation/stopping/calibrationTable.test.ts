import { expect, test } from 'vitest'
import type { HeadExample } from './acceptanceHead.ts'
import { calibrationOf } from './calibrationTable.ts'

const example = (chance: number, taken: number, weight?: number): HeadExample => ({
  position: 1,
  product: chance,
  token: { chance },
  taken,
  ...(weight === undefined ? {} : { weight }),
})
const said = ({ token }: { token: { chance: number } }) => token.chance

test('predictions are gathered by what they say, and compared with what came true', () => {
  const { rows, error } = calibrationOf(said, [example(0.92, 1), example(0.98, 0), example(0.31, 0.31)])
  expect(rows).toEqual([
    { from: 0.3, to: 0.4, examples: 1, predicted: 0.31, cameTrue: 0.31 },
    { from: 0.9, to: 1, examples: 2, predicted: 0.95, cameTrue: 0.5 },
  ])
  expect(error).toBeCloseTo(0.3, 12)
})

test('what is met less often counts less, and a certain prediction is in the last row', () => {
  const { rows, error } = calibrationOf(said, [example(1, 1), example(1, 0, 0.25)])
  expect(rows).toEqual([{ from: 0.9, to: 1, examples: 2, predicted: 1, cameTrue: 0.8 }])
  expect(error).toBeCloseTo(0.2, 12)
  expect(calibrationOf(said, [])).toEqual({ rows: [], error: 0 })
})
