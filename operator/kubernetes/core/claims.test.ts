import fc from 'fast-check'
import { expect, test } from 'vitest'
import { grantNames } from '../../core/names.ts'
import { type Claimant, NameClaims } from './claims.ts'

const names = fc.constantFrom('a', 'b', 'c', 'd')
const claimant: fc.Arbitrary<Claimant> = fc.record({
  name: names,
  servedNames: fc.uniqueArray(fc.constantFrom('a', 'b', 'x', 'y'), { maxLength: 3 }),
  created: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
})

test('one pair at a time comes to the same as all at once, and every pair whose share changed is named', () => {
  const step = fc.oneof(claimant, fc.record({ remove: names }))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const claims = new NameClaims()
      const there = new Map<string, Claimant>()
      for (const act of steps) {
        const before = new Map([...there.keys()].map((name) => [name, JSON.stringify(claims.grantOf(name))]))
        const own = 'remove' in act ? act.remove : act.name
        const told = 'remove' in act ? claims.remove(own) : claims.set(act)
        if ('remove' in act) there.delete(own)
        else there.set(own, act)
        for (const [name, grant] of before)
          if (name !== own && there.has(name) && JSON.stringify(claims.grantOf(name)) !== grant)
            expect(told).toContain(name)
      }
      const ordered = [...there.values()].toSorted(
        (a, b) => a.created.localeCompare(b.created) || a.name.localeCompare(b.name),
      )
      const whole = grantNames(ordered)
      for (const name of there.keys()) expect(claims.grantOf(name)).toEqual(whole.get(name))
    }),
  )
})
