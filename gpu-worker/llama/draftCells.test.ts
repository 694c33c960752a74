import { expect, test } from 'vitest'
import { DraftCells, keptCells } from './draftCells.ts'

test('a sequence keeps its place until it is forgotten, and the lowest free place is the next', () => {
  const cells = new DraftCells(2)
  expect([cells.of(7)?.sequence, cells.of(8)?.sequence, cells.of(9)]).toEqual([0, 1, null])
  expect(cells.of(7)?.sequence).toBe(0)
  expect(cells.forget(7)).toBe(0)
  expect(cells.forget(7)).toBeNull()
  expect(cells.of(9)?.sequence).toBe(0)
})

test('cells stay as far as they hold the sequence, and its last token is always left to compute', () => {
  const place = { sequence: 0, tokens: [1, 2, 3, 9, 9], confirmed: 0 }
  expect(keptCells(place, [1, 2, 3, 4])).toBe(3)
  expect(place.confirmed).toBe(3)
  expect(keptCells({ sequence: 0, tokens: [1, 2, 3], confirmed: 0 }, [1, 2, 3])).toBe(2)
  expect(keptCells({ sequence: 0, tokens: [], confirmed: 0 }, [1])).toBe(0)
})
