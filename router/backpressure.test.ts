import { EventEmitter } from 'node:events'
import { ServerResponse, IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { createFakeClock } from '#test/simulate/fakeClock.ts'
import { StallWatch } from './backpressure.ts'

const response = () => new ServerResponse(new IncomingMessage(new Socket()))
const stage = () => {
  const clock = createFakeClock()
  const events: string[] = []
  const handlers = { resume: () => events.push('resume'), cutOff: () => events.push('cut off') }
  return { clock, events, handlers, watch: new StallWatch({ clock, stallMsMax: 1_000 }) }
}

test('a reader that reads again is resumed once and forgotten', () => {
  const { watch, handlers, events, clock } = stage()
  const slow = response()
  watch.block(slow, { resume: () => void handlers.resume(), cutOff: () => void handlers.cutOff() })
  clock.advanceNow(500)
  slow.emit('drain')
  clock.advanceNow(5_000)
  watch.sweep()
  expect([events, watch.size, EventEmitter.listenerCount(slow, 'drain')]).toEqual([['resume'], 0, 0])
})

test('a reader that stalls is cut off after the bound, and not before', () => {
  const { watch, handlers, events, clock } = stage()
  watch.block(response(), { resume: () => void handlers.resume(), cutOff: () => void handlers.cutOff() })
  clock.advanceNow(999)
  watch.sweep()
  expect(events).toEqual([])
  clock.advanceNow(1)
  watch.sweep()
  expect([events, watch.size]).toEqual([['cut off'], 0])
})

test('nothing is kept of a response that closed', () => {
  const { watch, handlers } = stage()
  const slow = response()
  watch.blockUntilClosed(slow, () => void handlers.cutOff())
  watch.closed(slow)
  expect(watch.size).toBe(0)
})
