import fc from 'fast-check'
import { expect, test } from 'vitest'
import { arrive, newOrder } from './stream.ts'

test('events are delivered in order, once each', () => {
  const order = newOrder()
  expect([0, 1, 1, 2].map((number) => arrive(order, number))).toEqual(['deliver', 'deliver', 'duplicate', 'deliver'])
})

test('what comes after a gap is not delivered, and the gap is asked for from its start', () => {
  const order = newOrder()
  arrive(order, 0)
  expect(arrive(order, 2)).toBe('gap')
  expect(order.expected).toBe(1)
  order.askedAt = 5
  expect(arrive(order, 1)).toBe('deliver')
  expect(order.askedAt).toBeNull()
})

test('with loss, duplication and re-sends, exactly 0..n-1 is delivered', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1 }),
      (count, chances) => {
        const order = newOrder()
        const delivered: number[] = []
        let draw = 0
        const chance = () => chances[draw++ % chances.length] ?? 0
        const receive = (number: number) => {
          const arrival = arrive(order, number)
          if (arrival === 'deliver') delivered.push(number)
          return arrival
        }
        for (let number = 0; number < count; number++) {
          const luck = chance()
          if (luck < 0.3) continue
          receive(number)
          if (luck > 0.8) receive(number)
        }
        for (let number = order.expected; number < count; number++) receive(number)
        expect(delivered).toEqual(Array.from({ length: count }, (_, i) => i))
      },
    ),
  )
})
