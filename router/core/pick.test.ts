import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DeploymentName, WorkerId } from '#contracts/ids.ts'
import type { CostCurveMessage, WorkerReport } from '#contracts/messages.ts'
import { workerReport } from '#contracts/testing/workerReport.ts'
import { candidates, choose, pick, weigh } from './pick.ts'
import type { Need, Prefix } from './prompt.ts'
import { type Worker, WorkerTable } from './workers.ts'

const deployment = DeploymentName.parse('smol')
const curve: CostCurveMessage = {
  rows: [1, 4, 8],
  contexts: [0],
  ms: [[10, 13, 20]],
  promptTokensPerSecond: 1_000,
  origin: 'measured',
}

interface Standing {
  readonly busy?: number
  readonly prefixes?: readonly string[]
  readonly pending?: number
}

const reportOf = (name: string, { busy = 0, prefixes = [], pending = 0 }: Standing): WorkerReport =>
  workerReport(
    { worker: name, deployment, revision: 'r1' },
    {
      number: 1,
      slots: { total: 8, busy, waiting: 0 },
      promptTokensPending: pending,
      prefixes: [...prefixes],
      costCurve: curve,
    },
  )

/** As a router that has heard just these reports knows them. */
function heard(standings: Readonly<Record<string, Standing>>): Worker[] {
  const table = new WorkerTable()
  for (const [name, standing] of Object.entries(standings)) table.report(reportOf(name, standing), 0)
  return [...table.of(deployment)]
}

const need = (promptTokens: number, options: { prefixes?: readonly Prefix[]; key?: number } = {}): Need => ({
  promptTokens,
  prefixes: options.prefixes ?? [],
  key: options.key ?? 7,
})
const prefix = (digest: string, tokens: number): Prefix => ({ digest, tokens })
const keys = Array.from({ length: 64 }, (_, i) => i * 0x0101_0101)

describe('filter', () => {
  test('full, paused, excluded and silent workers get nothing', () => {
    const workers = heard({ full: { busy: 8 }, paused: {}, dead: {}, ok: {}, out: {} })
    for (const worker of workers) if (worker.id === 'paused') worker.pausedUntil = 101
    const excluded = [WorkerId.parse('out')]
    const left = candidates(workers, { excluded, now: 100, isLive: ({ id }) => id !== 'dead' })
    expect(left.map(({ id }) => id)).toEqual(['ok'])
  })
})

describe('pick', () => {
  test('the idle one of two equals', () => {
    for (const key of keys)
      expect(pick(heard({ busy: { busy: 4 }, idle: {} }), need(10, { key }))?.worker.id).toBe('idle')
  })

  test('a held prefix wins where it saves more than the load costs', () => {
    const workers = heard({ idle: {}, holds: { busy: 4, prefixes: ['p'] } })
    expect(pick(workers, need(1_000, { prefixes: [prefix('p', 900)] }))).toMatchObject({
      worker: { id: 'holds' },
      heldTokens: 900,
      firstTokenMs: 100,
      cause: 'held',
    })
    expect(pick(workers, need(100, { prefixes: [prefix('p', 90)] }))).toMatchObject({
      worker: { id: 'idle' },
      cause: 'cheapest',
    })
  })

  test('of several held prefixes the longest counts', () => {
    const workers = heard({ short: { prefixes: ['a'] }, long: { prefixes: ['a', 'b'] } })
    const prefixes = [prefix('a', 100), prefix('b', 400)]
    expect(pick(workers, need(500, { prefixes }))?.worker.id).toBe('long')
  })

  test('prompt work that waits at a worker counts against it', () => {
    expect(pick(heard({ a: { pending: 4_000 }, b: {} }), need(10))?.worker.id).toBe('b')
  })

  test('equals get even shares of the keys', () => {
    const workers = heard({ a: {}, b: {}, c: {}, d: {} })
    const counts = new Map<string, number>()
    for (let key = 0; key < 4_000; key++) {
      const id = pick(workers, need(10, { key }))?.worker.id ?? 'nobody'
      counts.set(id, (counts.get(id) ?? 0) + 1)
    }
    expect([...counts.values()].every((count) => Math.abs(count - 1_000) < 120)).toBe(true)
  })

  test('nobody where there is nobody, and the only one there is', () => {
    expect(pick([], need(10))).toBeNull()
    expect(pick(heard({ a: { busy: 7 } }), need(10))).toMatchObject({ worker: { id: 'a' }, cause: 'only' })
  })

  test('the predicted time follows the cost curve, between its points and beyond', () => {
    const [worker] = heard({ w: {} })
    if (worker === undefined) throw new Error('one worker was heard')
    const at = (busy: number) => weigh({ ...worker, drift: busy }, need(0)).costMs / 32
    expect([0, 3, 5, 7].map(at)).toEqual([10, 13, 16.5, 20])
    expect(at(11)).toBeCloseTo(30)
  })
})

describe('where nobody holds any of the prompt', () => {
  const prefixes = [prefix('new', 500)]

  test('requests that begin alike meet, whatever follows', () => {
    const workers = heard({ a: {}, b: { busy: 1 }, c: { busy: 1 }, d: {} })
    const met = keys.map((key) =>
      [300, 600, 900].map((tokens) => pick(workers, need(tokens, { prefixes, key }))?.worker.id),
    )
    for (const ids of met) expect(new Set(ids).size).toBe(1)
    expect(pick(workers, need(600, { prefixes }))?.cause).toBe('meeting')
  })

  test('a worker gets nothing of it while it is busier than a quarter over the mean', () => {
    const workers = heard({ a: { pending: 2_000 }, b: {}, c: {}, d: {} })
    for (const key of keys) {
      const picked = pick(workers, need(600, { prefixes, key }))
      expect(picked?.worker.id).not.toBe('a')
      expect(picked?.costMs).toBeLessThanOrEqual(picked?.boundMs ?? 0)
    }
  })

  test('a worker that leaves moves only what met there', () => {
    const all = heard({ a: {}, b: {}, c: {}, d: {}, e: {} })
    const left = all.filter(({ id }) => id !== 'c')
    const placeOf = (workers: readonly Worker[], key: number) => pick(workers, need(600, { prefixes, key }))?.worker.id
    for (const key of keys) {
      const before = placeOf(all, key)
      if (before !== 'c') expect(placeOf(left, key)).toBe(before)
    }
  })
})

describe('properties', () => {
  const standing = fc.record({
    busy: fc.integer({ min: 0, max: 7 }),
    pending: fc.integer({ min: 0, max: 3_000 }),
    prefixes: fc.subarray(['a', 'b', 'c']),
  })
  const standings = fc.dictionary(fc.stringMatching(/^w[0-9]{1,3}$/), standing, { minKeys: 1, maxKeys: 12 })
  const needs = fc.record({
    promptTokens: fc.integer({ min: 1, max: 2_000 }),
    key: fc.integer({ min: 0, max: 0xffff_ffff }),
    lengths: fc.subarray(['a', 'b', 'c'], { minLength: 0 }),
  })
  const needFrom = ({
    promptTokens,
    key,
    lengths,
  }: {
    promptTokens: number
    key: number
    lengths: readonly string[]
  }) =>
    need(promptTokens, {
      key,
      prefixes: lengths.map((digest, i) => prefix(digest, (promptTokens * (i + 1)) / lengths.length)),
    })

  test('two routers that heard the same reports, in whatever order, make the same pick', () => {
    fc.assert(
      fc.property(standings, needs, (given, asked) => {
        const other = heard(Object.fromEntries(Object.entries(given).reverse()))
        const one = pick(heard(given), needFrom(asked))
        const two = pick(other, needFrom(asked))
        expect(two?.worker.id).toBe(one?.worker.id)
        expect(two).toMatchObject({ cause: one?.cause, costMs: one?.costMs, weight: one?.weight })
      }),
    )
  })

  test('nobody is picked beyond the bound, and the bound is never below the least cost', () => {
    fc.assert(
      fc.property(standings, needs, (given, asked) => {
        const asks = needFrom(asked)
        const weighed = heard(given).map((worker) => weigh(worker, asks))
        const picked = choose(weighed, asks)
        const least = Math.min(...weighed.map(({ costMs }) => costMs))
        expect(picked?.costMs).toBeLessThanOrEqual(picked?.boundMs ?? 0)
        expect(picked?.boundMs).toBeGreaterThanOrEqual(least)
        if (picked?.cause === 'meeting') expect(weighed.every(({ heldTokens }) => heldTokens === 0)).toBe(true)
        else expect(picked?.costMs).toBeLessThanOrEqual(1.021 * least)
      }),
    )
  })
})
