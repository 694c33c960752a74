import { expect, test } from 'vitest'
import { stateOf } from './observed.ts'
import { registrationOf, workerOf } from './testing.ts'

const revision = '0123456789'

test('a worker that has registered counts as ready before it is heard, so that an operator that has just started drains none', () => {
  const registration = registrationOf('w', revision)
  expect(stateOf(workerOf('w', revision, { registration }), 0, 1_000)).toBe('ready')
  expect(stateOf(workerOf('w', revision), 0, 1_000)).toBe('starting')
  expect(stateOf(workerOf('w', revision, { registration, said: 'loading' }), 0, 1_000)).toBe('starting')
  expect(stateOf(workerOf('w', revision, { registration, drainAskedAt: 5 }), 0, 1_000)).toBe('draining')
})

test('a worker that does not run yet is never silent, however long that takes', () => {
  const waiting = workerOf('w', revision, { runningSince: null })
  expect(stateOf(waiting, 0, 10_000_000)).toBe('starting')
})
