import { describe, expect, test } from 'vitest'
import { DeploymentName, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { workerReport } from '#contracts/testing/workerReport.ts'
import { type Expert, type ExpertSeat, nextAt, placeNext, type Waiter } from './expertLine.ts'
import { type Worker, WorkerTable } from './workers.ts'

const { turnMsMin, turnMsMax, waitMsMax, leadTokensMax } = limits.experts
const deployment = DeploymentName.parse('smol')

function workerNamed(name: string, resident: readonly string[] = []): Worker {
  const table = new WorkerTable()
  table.report(workerReport({ worker: name, deployment, revision: 'r1' }, { experts: [...resident] }), 0)
  const worker = table.get(WorkerId.parse(name))
  if (worker === undefined) throw new Error('it has just reported')
  return worker
}

const seat = (
  name: string,
  experts: Expert[] = [],
  fields: { since?: number; resident?: string[] } = {},
): ExpertSeat => ({
  worker: workerNamed(name, fields.resident),
  experts,
  turnStartedAt: fields.since ?? 0,
})

/** `a1 b1 a2`: requests by expert, in fair order; all have just come. */
const lineOf = (text: string, now = 0, served: (id: string) => number = () => 0): Waiter<string>[] =>
  text.split(' ').map((id) => ({
    id,
    expert: id.startsWith('-') ? null : (id[0] ?? null),
    size: 1,
    priority: 0,
    tenantServed: served(id),
    startBy: now + waitMsMax,
  }))

const snapshot = (line: Waiter<string>[], seats: ExpertSeat[], now = 0) => ({
  line,
  seats,
  workers: seats.length,
  mayTake: () => true,
  needOf: () => ({ promptTokens: 10, prefixes: [], key: 1 }),
  now,
})
const nextFor = (of: ExpertSeat, line: Waiter<string>[], now = 0) => nextAt(of, snapshot(line, [of], now))?.id

describe('a worker', () => {
  test('that has nothing takes the longest queue', () => {
    expect(nextFor(seat('w'), lineOf('a1 b1 b2 a2 b3'))).toBe('b1')
  })

  test('goes on with the expert that it has while its turn is young, whoever has the longer queue', () => {
    const line = lineOf('b1 b2 a1')
    expect(nextFor(seat('w', ['a']), line, turnMsMax - 1)).toBe('a1')
    expect(nextFor(seat('w', ['a']), line, turnMsMax)).toBe('b1')
    expect(nextFor(seat('w', ['a']), lineOf('a1 a2 b1'), 2 * turnMsMax)).toBe('a1')
  })

  test('gives way to whoever would be late otherwise, but not in a turn that has just begun', () => {
    const now = waitMsMax
    const line = [...lineOf('b1', 0), ...lineOf('a1 a2 a3', now)]
    expect(nextFor(seat('w', ['a'], { since: now - turnMsMin }), line, now)).toBe('b1')
    expect(nextFor(seat('w', ['a'], { since: now - turnMsMin + 1 }), line, now)).toBe('a1')
  })

  test('whose queue is late already goes on until its turn is over, and then with who is due first', () => {
    const now = 3 * waitMsMax
    const line = [...lineOf('b1', 0), ...lineOf('a1 a2 a3', now)]
    expect(nextFor(seat('w', ['a'], { since: now - turnMsMax + 1 }), line, now)).toBe('a1')
    expect(nextFor(seat('w', ['a'], { since: now - turnMsMax }), line, now)).toBe('b1')
  })

  test('holds requests of two experts at most: those of the one that comes next go on coming', () => {
    expect(nextFor(seat('w', ['a', 'b']), lineOf('c1 c2 a1 b1'))).toBe('b1')
    expect(nextFor(seat('w', ['a', 'b']), lineOf('c1 c2 a1'))).toBeUndefined()
  })

  test('takes a third one that is due before all others, and then gathers its requests too', () => {
    const now = 2 * waitMsMax
    const line = [...lineOf('b1', now), ...lineOf('c1 d1', now - waitMsMax), ...lineOf('c2', now)]
    expect(nextFor(seat('w', ['a', 'b']), line, now)).toBe('c1')
    expect(nextFor(seat('w', ['a', 'b', 'c']), line, now)).toBe('c1')
    expect(nextFor(seat('w', ['a', 'b', 'd']), line.slice(0, 2), now)).toBeUndefined()
    expect(nextFor(seat('w', ['a', 'b']), [...lineOf('b1', 0), ...lineOf('c1', 1)], now)).toBe('b1')
  })

  test('takes the model without an expert as one expert among others', () => {
    expect(nextFor(seat('w', [null]), lineOf('a1 -1'))).toBe('-1')
  })

  test('lets no tenant get further ahead than the lead for the sake of its expert', () => {
    const ahead = (id: string) => (id.startsWith('a') ? leadTokensMax + 1 : 0)
    expect(nextFor(seat('w', ['a']), lineOf('b1 a1 a2', 0, ahead))).toBe('b1')
    const within = (id: string) => (id.startsWith('a') ? leadTokensMax : 0)
    expect(nextFor(seat('w', ['a']), lineOf('b1 a1 a2', 0, within))).toBe('a1')
  })
})

describe('several workers', () => {
  const placed = (line: string, ...seats: ExpertSeat[]) => {
    const next = placeNext(snapshot(lineOf(line), seats))
    return next === null ? null : `${next.id} ${next.picked.worker.id}`
  }

  test('gather the requests of one expert at one of them', () => {
    expect(placed('a1 a2 b1', seat('w1', ['b']), seat('w2', ['a']))).toMatch(/a1 w2|b1 w1/)
    expect(placed('a1', seat('w1', ['b']), seat('w2', ['a']), seat('w3'))).toBe('a1 w2')
  })

  test('of which one has the adapter in memory: it goes there', () => {
    for (const [one, other] of [
      ['w1', 'w2'],
      ['w2', 'w1'],
    ] as const)
      expect(placed('a1', seat(one, [], { resident: ['a'] }), seat(other, [], { resident: ['b'] }))).toBe(`a1 ${one}`)
  })

  test('place nothing where nobody has room for it', () => {
    expect(placed('c1', seat('w1', ['a', 'b']))).toBeNull()
    expect(placeNext({ ...snapshot(lineOf('a1'), [seat('w1')]), mayTake: () => false })).toBeNull()
  })
})
