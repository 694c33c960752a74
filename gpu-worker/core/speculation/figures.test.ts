import { expect, test } from 'vitest'
import type { RoundOutcome } from './controller.ts'
import { figuresOf } from './figures.ts'

const running = [1, 2, 3].map((key) => ({ key, contextTokens: 100, tokensMax: 8, methods: ['ngram' as const] }))
const round = (key: number, more: Partial<RoundOutcome>): RoundOutcome => ({
  key,
  method: 'ngram',
  proposed: 4,
  verified: 4,
  accepted: 4,
  depth: 4,
  ...more,
})
const figures = (rounds: RoundOutcome[], chosen: [number, number][], drafted: [number, number][] = []) =>
  figuresOf({
    running,
    chosen: new Map(chosen),
    rounds,
    drafted: new Map(drafted),
    draftMs: 8,
    stepMs: ({ rows }) => 10 * rows,
  })

test('every running sequence has a length, and drafts that were dropped before the step are no round', () => {
  const { lengths, rounds } = figures([round(1, {}), round(2, { verified: 0, accepted: 0, depth: 0 })], [[1, 4]])
  expect(lengths).toEqual([4, 0, 0])
  expect(rounds).toEqual([{ method: 'ngram', drafted: 4, accepted: 4 }])
})

test('what was accepted was not wasted: neither its proposing nor its row', () => {
  expect(figures([round(1, {})], [[1, 4]]).wastedMs).toBe(0)
  // Half of the tokens refused: half of 8 ms of proposing, half of 40 ms of rows.
  expect(figures([round(1, { accepted: 2 })], [[1, 4]]).wastedMs).toBe(4 + 20)
  expect(figures([round(1, { verified: 0, accepted: 0 })], []).wastedMs).toBe(8)
  expect(figures([], []).wastedMs).toBe(8)
})

test('what lies beyond the end of a request was verified for the shape of the batch, and not refused', () => {
  const atEnd = figures([round(1, { accepted: 2 })], [[1, 4]], [[1, 2]])
  expect(atEnd.rounds).toEqual([{ method: 'ngram', drafted: 2, accepted: 2 }])
  expect(atEnd.lengths[0]).toBe(4)
})
