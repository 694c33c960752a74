import { expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { decideYield, notYielding, onNothingToSend, onServedElsewhere } from './yielding.ts'

const { yieldMsMax, yieldPauseMs } = limits.queue

test('whoever is not ahead goes on', () => {
  expect(decideYield(notYielding, false, 5)).toMatchObject({ waits: false, state: { since: null } })
})

test('whoever is ahead waits while others are served', () => {
  let state = notYielding
  for (let now = 0; now < 10 * yieldMsMax; now += yieldMsMax / 2) {
    const decided = decideYield(state, true, now)
    expect(decided.waits).toBe(true)
    state = onServedElsewhere(decided.state)
  }
})

test('where nobody is served meanwhile it goes on, and for a while waits for nobody', () => {
  const { state } = decideYield(notYielding, true, 0)
  expect(decideYield(state, true, yieldMsMax - 1).waits).toBe(true)
  const over = decideYield(state, true, yieldMsMax)
  expect(over.waits).toBe(false)
  expect(decideYield(over.state, true, yieldMsMax + yieldPauseMs - 1).waits).toBe(false)
  expect(decideYield(over.state, true, yieldMsMax + yieldPauseMs).waits).toBe(true)
})

test('time without room for anybody does not count as letting go first', () => {
  const { state } = decideYield(notYielding, true, 0)
  expect(decideYield(onNothingToSend(state), true, yieldMsMax).waits).toBe(true)
})
