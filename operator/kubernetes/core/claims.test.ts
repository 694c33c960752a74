import fc from 'fast-check'
import { expect, test } from 'vitest'
import { grantNames } from '../../core/names.ts'
import type { NameOwner } from '../../core/observed.ts'
import { type Claimant, type Grant, NameClaims } from './claims.ts'

const names = fc.constantFrom('a', 'b', 'c', 'd')
const created = fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z')
const served = fc.constantFrom('a', 'b', 'x', 'y')
const pair: fc.Arbitrary<Claimant> = fc.record({
  kind: fc.constant('deployment' as const),
  name: names,
  servedNames: fc.uniqueArray(served, { maxLength: 3 }),
  created,
})
const route: fc.Arbitrary<Claimant> = fc.record({
  kind: fc.constant('route' as const),
  name: names,
  servedNames: fc.tuple(served),
  created,
})
type Act = { readonly set: Claimant } | { readonly remove: NameOwner }
const acts = (claimant: fc.Arbitrary<Claimant>): fc.Arbitrary<Act[]> =>
  fc.array(fc.oneof(fc.record({ set: claimant }), fc.record({ remove: claimant })), { maxLength: 12 })

const keyOf = ({ kind, name }: NameOwner) => `${kind} ${name}`

/** What is there after these, judged as a whole by `expected`; on the way, whoever's share changed must have been named. */
function follow(steps: Act[], expected: (there: Claimant[]) => ReadonlyMap<string, Grant>): void {
  const claims = new NameClaims()
  const there = new Map<string, Claimant>()
  for (const act of steps) {
    const before = [...there.values()].map((each) => ({ each, grant: claims.grantOf(each) }))
    const own = 'set' in act ? act.set : act.remove
    const told = ('set' in act ? claims.set(act.set) : claims.remove(act.remove)).map(keyOf)
    if ('set' in act) there.set(keyOf(own), act.set)
    else there.delete(keyOf(own))
    for (const { each, grant } of before.filter((one) => keyOf(one.each) !== keyOf(own)))
      if (JSON.stringify(claims.grantOf(each)) !== JSON.stringify(grant)) expect(told).toContain(keyOf(each))
  }
  const ordered = [...there.values()].toSorted(
    (a, b) => a.created.localeCompare(b.created) || keyOf(a).localeCompare(keyOf(b)),
  )
  const whole = expected(ordered)
  for (const each of ordered) expect(claims.grantOf(each)).toEqual(whole.get(keyOf(each)))
}

test('one pair at a time comes to the same as all at once, and every pair whose share changed is named', () => {
  fc.assert(
    fc.property(acts(pair), (steps) =>
      follow(steps, (there) => {
        const granted = grantNames(there)
        return new Map(there.flatMap((each, i) => (granted[i] === undefined ? [] : [[keyOf(each), granted[i]]])))
      }),
    ),
  )
})

test('with routes among them: a pair has its own name, and of every other name the oldest who asks has it', () => {
  const ownerOf = (there: Claimant[], name: string) =>
    there.find((each) => each.kind === 'deployment' && each.name === name) ??
    there.find(({ servedNames }) => servedNames.includes(name))
  fc.assert(
    fc.property(acts(fc.oneof(pair, route)), (steps) =>
      follow(steps, (there) => {
        const judged = there.map((each): [string, Grant] => {
          const own = each.kind === 'deployment' ? [each.name] : []
          const others = each.servedNames.filter((name) => !own.includes(name))
          const isOwn = (name: string) => ownerOf(there, name) === each
          const conflicts = others.flatMap((name) => {
            const owner = ownerOf(there, name)
            return owner === undefined || isOwn(name) ? [] : [{ name, owner: { kind: owner.kind, name: owner.name } }]
          })
          return [keyOf(each), { servedNames: [...own, ...others.filter(isOwn)], conflicts }]
        })
        return new Map(judged)
      }),
    ),
  )
})
