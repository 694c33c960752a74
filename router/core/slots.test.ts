import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Slots } from './slots.ts'

test('holds exactly what was added and not removed, each at its number, and reuses numbers', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { maxLength: 200 }), (operations) => {
      const slots = new Slots<object>()
      const held = new Map<number, object>()
      for (const operation of operations) {
        const [index, item] = [...held][operation] ?? []
        if (index === undefined || item === undefined) {
          const added = { operation }
          held.set(slots.add(added), added)
        } else {
          slots.remove(index, {})
          expect(slots.get(index)).toBe(item)
          slots.remove(index, item)
          slots.remove(index, item)
          held.delete(index)
        }
        expect(slots.size).toBe(held.size)
        expect(new Set(slots)).toEqual(new Set(held.values()))
        for (const [at, value] of held) expect(slots.get(at)).toBe(value)
        expect(Math.max(-1, ...held.keys())).toBeLessThan(10)
      }
    }),
  )
})
