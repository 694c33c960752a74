import { expect, test } from 'vitest'
import { delay, systemClock } from './clock.ts'

test('an aborted delay rejects with the reason and leaves no timer', async () => {
  const controller = new AbortController()
  const waiting = delay(systemClock, 60_000, controller.signal)
  controller.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
})

test('a cancelled timer never fires', async () => {
  let fired = false
  systemClock.after(1, () => (fired = true)).cancel()
  await delay(systemClock, 10)
  expect(fired).toBe(false)
})
