import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Revision } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { afterCrash, backOffMs, crashesOf, endedInOrder } from './backOff.ts'

const bounds = { firstMs: 500, maxMs: 60_000 }

test('the wait doubles up to its maximum', () => {
  const full = [1, 2, 3, 7, 8, 9, 1_000].map((attempt) => Math.round(backOffMs(attempt, 0.999_999, bounds)))
  expect(full).toEqual([500, 1_000, 2_000, 32_000, 60_000, 60_000, 60_000])
})

test('chance takes away at most half of it', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (attempt, chance) => {
        const waitMs = backOffMs(attempt, chance, bounds)
        expect(waitMs).toBeGreaterThanOrEqual(bounds.firstMs / 2)
        expect(waitMs).toBeLessThanOrEqual(bounds.maxMs)
      },
    ),
  )
})

test('crashes in a row are counted until a worker was well for a while, or the revision changes', () => {
  const end = { revision: Revision.parse('a'), message: 'x', readyMs: 0 }
  const first = afterCrash(null, end, 1_000, 0)
  expect(first).toMatchObject({ inARow: 1, retryAt: 1_000 + limits.operator.backOffMs / 2 })
  const second = afterCrash(first, { ...end, readyMs: limits.operator.stableAfterMs - 1 }, 2_000, 0)
  expect(second.inARow).toBe(2)
  expect(afterCrash(second, { ...end, readyMs: limits.operator.stableAfterMs }, 3_000, 0).inARow).toBe(1)
  expect(afterCrash(second, { ...end, revision: Revision.parse('b') }, 3_000, 0).inARow).toBe(1)
})

test('two revisions that crash in turns keep a row each', () => {
  const end = (revision: string) => ({ revision: Revision.parse(revision), message: 'x', readyMs: 0 })
  const rows = ['a', 'b', 'a', 'b', 'a'].reduce(
    (before: ReturnType<typeof afterCrash> | null, revision, i) => afterCrash(before, end(revision), i, 0),
    null,
  )
  expect(crashesOf(rows, Revision.parse('a'))?.inARow).toBe(3)
  expect(crashesOf(rows, Revision.parse('b'))?.inARow).toBe(2)
  expect(crashesOf(rows, Revision.parse('c'))).toBeNull()
})

test('of how many revisions crashes are counted is bounded', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 50 }), (names) => {
      let rows: ReturnType<typeof afterCrash> | null = null
      for (const name of names)
        rows = afterCrash(rows, { revision: Revision.parse(`r${name}`), message: 'x', readyMs: 0 }, 0, 0)
      expect(1 + (rows?.others?.length ?? 0)).toBeLessThanOrEqual(limits.operator.crashedRevisionsMax)
      expect(rows?.others?.some((row) => row.others !== undefined) ?? false).toBe(false)
    }),
  )
})

test('a worker that ends in order after it has served has not crashed, whether or not its last word arrived', () => {
  for (const said of ['ready', 'draining', 'stopped'] as const) expect(endedInOrder(0, said)).toBe(true)
  expect([endedInOrder(0, 'loading'), endedInOrder(0, null)]).toEqual([false, false])
  expect([endedInOrder(1, 'draining'), endedInOrder(null, 'ready')]).toEqual([false, false])
})
