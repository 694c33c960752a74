import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { DispatchId } from '#contracts/ids.ts'
import { RequestEvent } from '#contracts/messages.ts'
import { type EventBody, EventLog } from './eventLog.ts'

const id = (name: string) => DispatchId.parse(name)
const log = (bounds: Partial<ConstructorParameters<typeof EventLog>[0]> = {}) =>
  new EventLog({ requestsMax: 100, bytesMax: 100_000, retentionMs: 1_000, ...bounds })
const accepted: EventBody = { kind: 'accepted' }
const delta = (text: string): EventBody => ({ kind: 'delta', choices: [{ index: 0, text, tokens: [1] }] })
const refused: EventBody = { kind: 'refused', failure: { code: 'refused', message: 'full', retry: { kind: 'never' } } }
const parse = (json: string) => RequestEvent.parse(JSON.parse(json))

test('events of each dispatch are numbered from 0 without gaps', () => {
  const events = log()
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 30 }), (names) => {
      for (const name of names) events.append(id(name), delta('x'), 0)
      for (const name of ['a', 'b', 'c'])
        expect(events.from(id(name), 0)?.map((json) => parse(json).number) ?? []).toEqual(
          (events.from(id(name), 0) ?? []).map((_, i) => i),
        )
    }),
  )
})

test('events from any number on come back as they were', () => {
  const events = log()
  const sent = [events.append(id('a'), accepted, 0), events.append(id('a'), delta('x'), 0)]
  expect(events.from(id('a'), 0)).toEqual(sent)
  expect(events.from(id('a'), 1)).toEqual(sent.slice(1))
  expect(events.from(id('a'), 2)).toEqual([])
  expect(events.from(id('unknown'), 0)).toBeNull()
})

test('nothing follows the last event', () => {
  const events = log()
  events.append(id('a'), refused, 0)
  expect(() => events.append(id('a'), delta('x'), 0)).toThrow(/last event/)
})

test('an ended dispatch is forgotten after its retention, a live one never', () => {
  const events = log()
  events.append(id('ended'), refused, 0)
  events.append(id('live'), accepted, 0)
  events.append(id('other'), accepted, 999)
  expect(events.knows(id('ended'))).toBe(true)
  events.append(id('other'), delta('x'), 1_000)
  expect([events.knows(id('ended')), events.knows(id('live'))]).toEqual([false, true])
})

test('over the bound in bytes the ended go first, then the older half of the largest', () => {
  const events = log({ bytesMax: 2_000 })
  events.append(id('ended'), refused, 0)
  events.append(id('small'), accepted, 0)
  for (let i = 0; i < 40; i++) events.append(id('large'), delta('y'.repeat(50)), 0)
  expect(events.bytes).toBeLessThanOrEqual(2_000)
  expect(events.knows(id('ended'))).toBe(false)
  expect(events.from(id('small'), 0)).toHaveLength(1)
  expect(events.from(id('large'), 0)).toBeNull()
  expect(events.from(id('large'), 39)?.map((json) => parse(json).number)).toEqual([39])
})

test('at most so many dispatches are remembered', () => {
  const events = log({ requestsMax: 10 })
  for (let i = 0; i < 50; i++) events.append(id(`d${i}`), refused, 0)
  expect(events.size).toBeLessThanOrEqual(10)
  expect(events.knows(id('d49'))).toBe(true)
})
