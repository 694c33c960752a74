import { expect, test } from 'vitest'
import { hash32, weightOf } from './rendezvous.ts'

const seats = Array.from({ length: 10 }, (_, i) => hash32(`worker-${i}`))
const ownerOf = (key: number, among: readonly number[]) =>
  among.reduce((best, seat) => (weightOf(key, seat) > weightOf(key, best) ? seat : best))

test('each seat owns its share of the keys', () => {
  const counts = new Map<number, number>()
  for (let i = 0; i < 20_000; i++) {
    const owner = ownerOf(hash32(`key ${i}`), seats)
    counts.set(owner, (counts.get(owner) ?? 0) + 1)
  }
  for (const seat of seats) expect(Math.abs((counts.get(seat) ?? 0) - 2_000)).toBeLessThan(200)
})

test('a seat that goes gives its keys to all the others, and moves no other key', () => {
  const [gone, ...left] = seats
  if (gone === undefined) throw new Error('there are ten seats')
  const heirs = new Set<number>()
  for (let i = 0; i < 2_000; i++) {
    const key = hash32(`key ${i}`)
    if (ownerOf(key, seats) === gone) heirs.add(ownerOf(key, left))
    else expect(ownerOf(key, left)).toBe(ownerOf(key, seats))
  }
  expect(heirs.size).toBe(9)
})

test('neighbouring names are far apart', () => {
  const numbers = Array.from({ length: 1_000 }, (_, i) => hash32(`w${i}`) / 2 ** 32)
  expect(numbers.filter((number) => number < 0.5).length / 1_000).toBeCloseTo(0.5, 1)
  expect(new Set(numbers).size).toBe(1_000)
})
