import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ValueQueue } from './valueQueue.ts'

test('the greatest value comes first, of equal ones the first that came', () => {
  // null takes one out.
  const some = fc.array(fc.oneof(fc.nat(5), fc.constant(null)), { maxLength: 60 })
  fc.assert(
    fc.property(some, (operations) => {
      const queue = new ValueQueue<number>()
      const held: { value: number; item: number }[] = []
      for (const [item, value] of [...operations, ...operations.map(() => null)].entries()) {
        if (value === null) {
          held.sort((a, b) => b.value - a.value || a.item - b.item)
          expect(queue.pop()?.item).toBe(held.shift()?.item)
          continue
        }
        queue.push(value, item)
        held.push({ value, item })
      }
    }),
  )
})
