import { expect, test } from 'vitest'
import type { ExpertRequest } from '#algorithms/expertQueues.ts'
import { decideTurn, type TurnSnapshot } from './expertTurn.ts'

const request = (id: string, startBy = Number.POSITIVE_INFINITY): ExpertRequest<string, string> => ({
  id,
  expert: id[0] ?? '',
  size: 1,
  priority: 0,
  tenantServed: 0,
  startBy,
})
const decide = (waiting: string, changes: Partial<TurnSnapshot<string, string>> = {}) =>
  decideTurn({
    waiting: waiting === '' ? [] : waiting.split(' ').map((id) => request(id)),
    running: undefined,
    turnStartedAt: 0,
    slotsFree: 4,
    slots: 4,
    turnMsMin: 100,
    turnMsMax: 1_000,
    lateTurnMsMax: 3_000,
    leadTokensMax: 0,
    resident: [],
    now: 500,
    ...changes,
  })

test('with all slots free, the longest queue begins a turn', () => {
  expect(decide('')).toEqual({ kind: 'nothing-waits' })
  expect(decide('a1 b1 b2')).toEqual({ kind: 'admit', expert: 'b', requests: ['b1', 'b2'] })
  expect(decide('b1 b2 b3', { slotsFree: 2 })).toEqual({ kind: 'admit', expert: 'b', requests: ['b1', 'b2'] })
})

test('a turn goes on while its expert has requests, up to its longest; then it drains', () => {
  const running = { running: 'a', slotsFree: 1 }
  expect(decide('b1 b2 a1 a2', running)).toEqual({ kind: 'admit', expert: 'a', requests: ['a1'] })
  expect(decide('b1 b2 a1', { ...running, now: 1_000 })).toEqual({ kind: 'drain' })
  expect(decide('b1 a1 a2', { ...running, now: 1_000 })).toMatchObject({ kind: 'admit', expert: 'a' })
  expect(decide('b1', running)).toEqual({ kind: 'drain' })
})

test('who is late already waits for the end of the turn, though not for ever, and is next', () => {
  const late = [request('a1'), request('a2'), request('b1', 499)]
  expect(decide('', { waiting: late, running: 'a', slotsFree: 1 })).toMatchObject({ kind: 'admit', expert: 'a' })
  expect(decide('', { waiting: late, running: 'a', slotsFree: 1, now: 1_000 })).toEqual({ kind: 'drain' })
  expect(decide('', { waiting: late, running: 'a', slotsFree: 1, now: 3_000 })).toEqual({ kind: 'give-way' })
  expect(decide('', { waiting: late })).toMatchObject({ kind: 'admit', expert: 'b' })
})

test('whoever would be late ends the turn of others, though not at once', () => {
  const waiting = [request('a1'), request('a2'), request('b1', 550)]
  expect(decide('', { waiting, running: 'a' })).toEqual({ kind: 'give-way' })
  expect(decide('', { waiting, running: 'a', turnStartedAt: 450 })).toEqual({ kind: 'drain' })
  // Where it is the only one that waits, and who runs has long answers.
  expect(decide('', { waiting: [request('b1', 550)], running: 'a' })).toEqual({ kind: 'give-way' })
  expect(decide('', { waiting: [request('b1', 550), request('b2')], running: 'b' })).toMatchObject({ kind: 'admit' })
})
