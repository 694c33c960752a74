import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planResidence, type ResidenceSnapshot } from './expertResidence.ts'

const items = (names: string, bytes = 1) => names.split('').map((key) => ({ key, bytes, cost: bytes }))
const letters = 'abcdefgh'.split('')
const plan = (changes: Partial<ResidenceSnapshot<string>>) =>
  planResidence<string>({
    needed: [],
    resident: [],
    bytesMax: 3,
    isInUse: () => false,
    upcoming: [],
    prefetchMax: 2,
    ...changes,
  })

test('whoever is needed last goes for who is needed now', () => {
  const resident = items('abc')
  expect(plan({ needed: items('d'), resident, upcoming: items('cab') })).toMatchObject({ load: ['d'], evict: ['b'] })
  expect(plan({ needed: items('d'), resident, upcoming: items('ca') })).toMatchObject({ load: ['d'], evict: ['b'] })
  expect(plan({ needed: items('d'), resident })).toMatchObject({ load: ['d'], evict: ['a'] })
})

test('what is there is not loaded, and what is in use or needed stays', () => {
  const resident = items('abc')
  expect(plan({ needed: items('ca'), resident })).toMatchObject({ load: [], evict: [] })
  expect(plan({ needed: items('ad'), resident, isInUse: (key) => key === 'b' })).toMatchObject({ evict: ['c'] })
  expect(plan({ needed: items('d'), resident, isInUse: () => true })).toMatchObject({ load: [], postponed: ['d'] })
})

test('who is needed next is fetched ahead into free room, or over who is not needed', () => {
  expect(plan({ resident: items('a'), upcoming: items('bcd') }).prefetch).toEqual([
    { load: 'b', evict: [] },
    { load: 'c', evict: [] },
  ])
  expect(plan({ resident: items('axb'), upcoming: items('bac') }).prefetch).toEqual([{ load: 'c', evict: ['x'] }])
  expect(plan({ resident: items('abc'), upcoming: items('abcd') }).prefetch).toEqual([])
  expect(plan({ resident: items('a'), upcoming: items('bcd'), prefetchMax: 0 }).prefetch).toEqual([])
})

test('whatever the plan, it fits, and nobody goes who is needed, in use, or wanted sooner than what is fetched ahead', () => {
  const anyNames = fc.uniqueArray(fc.constantFrom(...letters), { maxLength: 6 })
  const sizeOf = (key: string) => 1 + (key.charCodeAt(0) % 3)
  const sized = (names: readonly string[]) => names.map((key) => ({ key, bytes: sizeOf(key), cost: 2 }))
  fc.assert(
    fc.property(anyNames, anyNames, fc.array(fc.constantFrom(...letters), { maxLength: 20 }), anyNames, (...given) => {
      const [resident, needed, upcoming, inUse] = given
      const before = resident.reduce((sum, key) => sum + sizeOf(key), 0)
      const bytesMax = Math.max(8, before)
      const { evict, load, postponed, prefetch } = planResidence({
        needed: sized(needed),
        resident: sized(resident),
        bytesMax,
        isInUse: (key) => inUse.includes(key),
        upcoming: sized(upcoming),
        prefetchMax: 3,
      })
      const gone = [...evict, ...prefetch.flatMap((each) => each.evict)]
      const came = [...load, ...prefetch.map((each) => each.load)]
      expect(gone.filter((key) => !resident.includes(key) || inUse.includes(key) || needed.includes(key))).toEqual([])
      expect(prefetch.flatMap((each) => each.evict).filter((key) => upcoming.includes(key))).toEqual([])
      const after = new Set([...resident.filter((key) => !gone.includes(key)), ...came])
      expect([...after].reduce((sum, key) => sum + sizeOf(key), 0)).toBeLessThanOrEqual(bytesMax)
      expect(needed.filter((key) => !after.has(key))).toEqual(postponed)
    }),
  )
})
