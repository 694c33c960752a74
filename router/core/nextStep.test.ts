import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DeploymentName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { workerReport } from '#contracts/testing/workerReport.ts'
import { firstTokenMs, remainingMs, type Standby } from './nextStep.ts'
import { WorkerTable } from './workers.ts'

const deployment = DeploymentName.parse('large')
const need = (promptTokens: number) => ({ promptTokens, prefixes: [], key: 0 })

/** Workers of four slots each, by how many are busy. */
function standby(busy: readonly number[], more: Partial<Standby> = {}): Standby {
  const table = new WorkerTable()
  busy.forEach((slots, i) =>
    table.report(
      workerReport(
        { worker: `w${i}`, deployment, revision: 'r1' },
        {
          number: 1,
          slots: { total: 4, busy: slots, waiting: 0 },
          costCurve: { rows: [1, 4], contexts: [0], ms: [[10, 20]], promptTokensPerSecond: 1_000, origin: 'measured' },
        },
      ),
      0,
    ),
  )
  return { live: table.of(deployment), waiting: 0, serviceMs: 800, isAsleep: false, ...more }
}

describe('the next step’s time to its first token', () => {
  test('is that of its prompt and one step where a slot is free', () => {
    expect(firstTokenMs(standby([3]), need(200))).toBe(210)
    expect(firstTokenMs(standby([4, 0]), need(0))).toBe(10)
  })

  test('adds the wait for a slot where all are taken, behind whoever waits already', () => {
    expect(firstTokenMs(standby([4]), need(0))).toBe(200 + 10)
    expect(firstTokenMs(standby([4], { waiting: 3 }), need(0))).toBe(800 + 10)
    expect(firstTokenMs(standby([4, 4], { waiting: 3 }), need(0))).toBe(400 + 10)
  })

  test('counts free slots for those who wait first', () => {
    expect(firstTokenMs(standby([2], { waiting: 1 }), need(0))).toBe(10)
    expect(firstTokenMs(standby([2], { waiting: 2 }), need(0))).toBe(200 + 10)
  })

  test('is a guess by the cost curve before anything was measured, and a start where the deployment sleeps', () => {
    expect(firstTokenMs(standby([4], { serviceMs: null }), need(0))).toBe((128 * 20) / 4 + 10)
    expect(firstTokenMs(standby([], { isAsleep: true }), need(0))).toBe(limits.queue.heldRetryAfterMs)
  })

  test('is none where nobody is there', () => {
    expect(firstTokenMs(standby([]), need(0))).toBeNull()
  })

  test('never falls when more wait or more is busy', () => {
    const count = fc.nat({ max: 4 })
    fc.assert(
      fc.property(count, fc.nat({ max: 20 }), fc.nat({ max: 500 }), (busy, waiting, tokens) => {
        const at = (slots: number, queued: number) =>
          firstTokenMs(standby([slots], { waiting: queued }), need(tokens)) ?? Number.POSITIVE_INFINITY
        expect(at(busy, waiting + 1)).toBeGreaterThanOrEqual(at(busy, waiting))
        if (busy < 4) expect(at(busy + 1, waiting)).toBeGreaterThanOrEqual(at(busy, waiting))
      }),
    )
  })
})

test('what is left is what was promised so far and not used, and never more than the client’s own deadline', () => {
  const promise = { spentMs: 1_500, nextTtftMs: 1_000 }
  expect(remainingMs(promise, { elapsedMs: 700, deadlineLeftMs: 60_000 })).toBe(1_800)
  expect(remainingMs(promise, { elapsedMs: 3_000, deadlineLeftMs: 60_000 })).toBe(-500)
  expect(remainingMs(promise, { elapsedMs: 700, deadlineLeftMs: 300 })).toBe(300)
})
