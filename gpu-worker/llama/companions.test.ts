import { expect, test } from 'vitest'
import { companionsOf } from './companions.ts'

const span = (slot: number, tokens = 1) => ({
  slot,
  position: 7,
  tokens: Array.from({ length: tokens }, () => 5),
  logitsForLast: 1,
})
const beside = (spans: [slot: number, tokens?: number][], cells: Record<number, number> = {}) =>
  companionsOf(
    spans.map(([slot, tokens]) => span(slot, tokens)),
    { slots: 4, contextTokensMax: 64, cellsOf: (slot) => cells[slot] ?? 0 },
  ).map(({ slot, position, logitsForLast }) => [slot, position, logitsForLast])

test('a lone row gets one beside it, behind what the slot holds', () => {
  expect(beside([[0]], { 1: 9 })).toEqual([[1, 9, 0]])
  expect(beside([[3]])).toEqual([[2, 0, 0]])
  expect(beside([[1]], { 2: 64 })).toEqual([[0, 0, 0]])
})

test('free slots between others are filled, and nothing else is', () => {
  expect(beside([[0], [3]])).toEqual([
    [1, 0, 0],
    [2, 0, 0],
  ])
  expect(beside([[0], [1]])).toEqual([])
  expect(beside([[0, 5]])).toEqual([])
  expect(beside([])).toEqual([])
})
