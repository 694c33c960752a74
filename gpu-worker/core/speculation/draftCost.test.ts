import { expect, test } from 'vitest'
import { DraftCost } from './draftCost.ts'

test('drafting is free until it was measured, so that it is tried', () => {
  expect(new DraftCost().predictMs('draft', { sequences: 4, depth: 8 })).toBe(0)
})

test('it costs by depth, by the number of sequences, and by method', () => {
  const subject = new DraftCost()
  for (let i = 0; i < 40; i++) {
    subject.observe('draft', { sequences: 1, depth: 4 }, 8)
    subject.observe('draft', { sequences: 8, depth: 2 }, 10)
  }
  expect(subject.predictMs('draft', { sequences: 1, depth: 3 })).toBeCloseTo(6, 6)
  expect(subject.predictMs('draft', { sequences: 7, depth: 3 })).toBeCloseTo(15, 6)
  expect(subject.predictMs('draft', { sequences: 16, depth: 1 })).toBeCloseTo(5, 6)
  expect(subject.predictMs('draft', { sequences: 0, depth: 3 })).toBe(0)
  expect(subject.predictMs('ngram', { sequences: 1, depth: 3 })).toBe(0)
})

test('one stalled round moves it little', () => {
  const subject = new DraftCost()
  for (let i = 0; i < 10; i++) subject.observe('draft', { sequences: 1, depth: 1 }, 1)
  subject.observe('draft', { sequences: 1, depth: 1 }, 1_000)
  expect(subject.predictMs('draft', { sequences: 1, depth: 1 })).toBeLessThan(1.5)
})
