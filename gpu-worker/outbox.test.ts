import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { DispatchId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { type ChoiceDelta, type RequestEvent, StepFrame, type Usage } from '#contracts/messages.ts'
import { Assembler, parsePart } from '#contracts/parts.ts'
import { decode } from '#runtime/messages.ts'
import { createFakeClock } from '#test/simulate/fakeClock.ts'
import { createOutbox } from './outbox.ts'
import { router, StubBus, workerId } from './worker.fixture.ts'

const usage: Usage = {
  promptTokens: 1,
  completionTokens: 1,
  cachedTokens: 0,
  draftTokens: 0,
  acceptedTokens: 0,
  waitMs: 0,
  promptMs: 0,
  generationMs: 0,
}
const id = (name: string) => DispatchId.parse(name)
const delta = (text: string, index = 0): ChoiceDelta => ({ index, text, tokens: [text.length] })

function open(payloadBytesMax: number = limits.nats.payloadBytesMax) {
  const bus = new StubBus()
  const clock = createFakeClock()
  const outbox = createOutbox({ bus, clock, worker: workerId, onResent: () => undefined, payloadBytesMax })
  const parts = new Assembler()
  const eventsOf = (payload: Uint8Array): RequestEvent[] => {
    const part = parsePart(payload)
    const whole = part === null ? payload : parts.add(part, clock.now())
    return whole === null ? [] : decode(StepFrame, whole).events
  }
  return { bus, clock, outbox, eventsOf }
}

/** A router on a line that loses and repeats: takes events in order, asks again for what is missing. */
test('whatever is lost or repeated on the way, asking again gives every event once and in order', () => {
  const plan = fc.array(
    fc.record({ text: fc.string({ maxLength: 5 }), fate: fc.constantFrom('lost', 'once', 'twice') }),
    {
      minLength: 1,
      maxLength: 40,
    },
  )
  fc.assert(
    fc.property(plan, fc.integer({ min: 1, max: 5 }), (steps, askEvery) => {
      const { bus, outbox, eventsOf } = open()
      const taken: RequestEvent[] = []
      let read = 0
      const receive = (fate: string) => {
        for (; read < bus.published.length; read++) {
          const payload = bus.published[read]?.payload
          if (payload === undefined || fate === 'lost') continue
          for (const event of fate === 'twice' ? [...eventsOf(payload), ...eventsOf(payload)] : eventsOf(payload))
            if (event.number === taken.length) taken.push(event)
        }
      }
      const ask = () => {
        outbox.resend({ router, requests: [{ id: id('a'), from: taken.length }] })
        outbox.flush()
        receive('once')
      }
      outbox.accept({ id: id('a'), router, deltaIntervalMs: 0 })
      for (const [i, { text, fate }] of steps.entries()) {
        outbox.delta(id('a'), [delta(text)])
        outbox.flush()
        receive(fate)
        if (i % askEvery === 0) ask()
      }
      outbox.final(id('a'), [], { kind: 'completed', usage })
      outbox.flush()
      receive('lost')
      ask()
      expect(taken.map((event) => event.number)).toEqual(taken.map((_, i) => i))
      expect(taken).toHaveLength(steps.length + 2)
      const texts = taken.flatMap((event) => (event.kind === 'delta' ? event.choices.map((choice) => choice.text) : []))
      expect(texts).toEqual(steps.map((step) => step.text))
      expect(taken.at(-1)?.kind).toBe('final')
    }),
  )
})

test('what is said in one turn to one router is one message', async () => {
  const { bus, outbox, eventsOf } = open()
  for (const name of ['a', 'b', 'c']) outbox.accept({ id: id(name), router, deltaIntervalMs: 0 })
  for (const name of ['a', 'b', 'c']) outbox.delta(id(name), [delta('x')])
  expect(bus.published).toHaveLength(0)
  await Promise.resolve()
  expect(bus.published).toHaveLength(1)
  expect(bus.published.flatMap(({ payload }) => eventsOf(payload))).toHaveLength(6)
})

test('no message is over the limit: frames are split, and one huge event travels in parts', () => {
  const { bus, outbox, eventsOf } = open(1_000)
  for (let i = 0; i < 20; i++) {
    outbox.accept({ id: id(`d${i}`), router, deltaIntervalMs: 0 })
    outbox.delta(id(`d${i}`), [delta('x'.repeat(i === 7 ? 5_000 : 100))])
  }
  outbox.flush()
  for (const { payload } of bus.published) expect(payload.length).toBeLessThanOrEqual(1_000)
  expect(bus.published.flatMap(({ payload }) => eventsOf(payload))).toHaveLength(40)
})

test('a gathered request joins its deltas from its acceptance on, and its last event has the rest', async () => {
  const { bus, clock, outbox, eventsOf } = open()
  outbox.accept({ id: id('a'), router, deltaIntervalMs: 500 })
  outbox.delta(id('a'), [delta('a'), delta('A', 1)])
  for (const text of ['b', 'c']) outbox.delta(id('a'), [delta(text)])
  await clock.advance(500)
  outbox.delta(id('a'), [delta('d'), delta('D', 1)])
  outbox.delta(id('a'), [delta('e')])
  outbox.final(id('a'), [{ ...delta('f'), finish: 'stop' }], { kind: 'completed', usage })
  outbox.flush()
  const events = bus.published.flatMap(({ payload }) => eventsOf(payload))
  const texts = events.map((event) =>
    event.kind === 'delta' || event.kind === 'final' ? event.choices.map((choice) => choice.text) : [],
  )
  expect(texts).toEqual([[], ['abcd', 'AD'], ['ef']])
  expect(events.at(-1)).toMatchObject({ choices: [{ finish: 'stop', tokens: [1, 1] }] })
})

test('asking where a gathered request is brings what was gathered', () => {
  const { bus, outbox, eventsOf } = open()
  outbox.accept({ id: id('a'), router, deltaIntervalMs: 500 })
  outbox.delta(id('a'), [delta('a')])
  outbox.delta(id('a'), [delta('b')])
  outbox.resend({ router, requests: [{ id: id('a'), from: 1 }] })
  outbox.flush()
  expect(bus.published.flatMap(({ payload }) => eventsOf(payload)).map((event) => event.number)).toEqual([0, 1])
})

test('nothing can be said about a request that has ended or was never accepted', () => {
  const { outbox } = open()
  outbox.accept({ id: id('a'), router, deltaIntervalMs: 0 })
  outbox.final(id('a'), [], { kind: 'completed', usage })
  expect(() => outbox.delta(id('a'), [delta('x')])).toThrow(/not live/)
  expect(() => outbox.final(id('a'), [], { kind: 'completed', usage })).toThrow(/not live/)
  expect(() => outbox.delta(id('b'), [delta('x')])).toThrow(/not live/)
})
