import { describe, expect, test } from 'vitest'
import { DeploymentName, WorkerId } from '#contracts/ids.ts'
import type { WorkerReport } from '#contracts/messages.ts'
import { workerReport } from '#contracts/testing/workerReport.ts'
import { freeSlots, loadOf, promptTokensPending, type SentPrompt, type Worker, WorkerTable } from './workers.ts'

const deployment = DeploymentName.parse('smol')
const id = WorkerId.parse('w1')
const report = (number: number, changes: Partial<WorkerReport> = {}): WorkerReport =>
  workerReport({ worker: id, deployment, revision: 'r1' }, { number, ...changes })
const tableWith = (changes: Partial<WorkerReport> = {}, now = 10_000): { table: WorkerTable; worker: Worker } => {
  const table = new WorkerTable()
  table.report(report(1, changes), now)
  const worker = table.get(id)
  if (worker === undefined) throw new Error('no worker')
  return { table, worker }
}

describe('liveness', () => {
  test('a silent worker is suspect after a second and gone after three', () => {
    const { table, worker } = tableWith()
    expect(table.standing(worker, 10_999)).toBe('live')
    expect(table.standing(worker, 11_000)).toBe('suspect')
    expect(table.sweep(12_999)).toEqual([])
    expect(table.sweep(13_000)).toEqual([id])
    expect(table.of(deployment)).toEqual([])
  })

  test('a worker that is heard on its stream is not silent', () => {
    const { table, worker } = tableWith()
    table.heard(id, 12_000)
    expect(table.standing(worker, 12_500)).toBe('live')
  })

  test('silence counts anew after a reconnect', () => {
    const { table, worker } = tableWith()
    table.reconnected(20_000)
    expect(table.standing(worker, 20_500)).toBe('live')
    expect(table.sweep(20_500)).toEqual([])
  })

  test('a removed registration is death at once, and a late report does not undo it', () => {
    const { table } = tableWith()
    expect(table.remove(id, 10_100)).toBe(true)
    expect(table.report(report(2), 10_150)).toBe('ignored')
    expect(table.of(deployment)).toEqual([])
  })

  test('a registration that ran out during an outage of the bus does not kill a worker', () => {
    const { table } = tableWith()
    table.reconnected(20_000)
    expect(table.remove(id, 20_100)).toBe(false)
    expect(table.of(deployment)).toHaveLength(1)
  })

  test('a worker that says stopped is gone', () => {
    const { table } = tableWith()
    expect(table.report(report(2, { state: 'stopped' }), 10_100)).toBe('stopped')
    expect(table.get(id)).toBeUndefined()
  })

  test('loading and draining workers get nothing new', () => {
    expect(tableWith({ state: 'loading' }).table.standing(tableWith({ state: 'loading' }).worker, 10_000)).toBe(
      'loading',
    )
    const { table, worker } = tableWith({ state: 'draining' })
    expect(table.standing(worker, 10_000)).toBe('draining')
  })

  test('an older report than the newest is ignored', () => {
    const { table, worker } = tableWith()
    table.report(report(5, { slots: { total: 8, busy: 5, waiting: 0 } }), 10_100)
    expect(table.report(report(4), 10_200)).toBe('ignored')
    expect(loadOf(worker)).toBe(5)
  })
})

const prompt = (choices: number, options: { tokens?: number; digests?: readonly string[] } = {}): SentPrompt => ({
  choices,
  promptTokens: options.tokens ?? 100,
  prefixes: (options.digests ?? []).map((digest, i) => ({ digest, tokens: 100 * (i + 1) })),
})

describe('load between reports', () => {
  test('what was sent counts before any report knows of it', () => {
    const { table, worker } = tableWith()
    table.sent(worker, prompt(2))
    expect(freeSlots(worker)).toBe(6)
  })

  test('a report taken before the worker got the dispatch does not hide it', () => {
    const { table, worker } = tableWith()
    const sent = table.sent(worker, prompt(1))
    table.report(report(2, { slots: { total: 8, busy: 3, waiting: 0 } }), 10_200)
    expect(loadOf(worker)).toBe(4)
    table.accepted(sent)
    table.report(report(3, { slots: { total: 8, busy: 4, waiting: 0 } }), 10_400)
    expect(loadOf(worker)).toBe(4)
  })

  test('what ended since the report is free at once', () => {
    const { table, worker } = tableWith()
    const sent = table.sent(worker, prompt(1))
    table.accepted(sent)
    table.report(report(2, { slots: { total: 8, busy: 8, waiting: 0 } }), 10_200)
    table.ended(sent)
    expect(freeSlots(worker)).toBe(1)
  })

  test('a refused dispatch leaves nothing behind', () => {
    const { table, worker } = tableWith({ prefixes: ['old'] })
    table.ended(table.sent(worker, prompt(3, { digests: ['new', 'old'] })))
    expect(worker).toMatchObject({ inFlight: 0, unanswered: 0, drift: 0, promptTokensSent: 0 })
    expect([...worker.prefixes]).toEqual(['old'])
    expect(worker.sent.size).toBe(0)
  })
})

describe('prompts that were sent and not yet reported', () => {
  test('their tokens wait at the worker until a report counts them', () => {
    const { table, worker } = tableWith({ promptTokensPending: 30 })
    const sent = table.sent(worker, prompt(1))
    expect(promptTokensPending(worker)).toBe(130)
    // The worker had not got it when it made this report.
    table.report(report(2, { promptTokensPending: 10 }), 10_200)
    expect(promptTokensPending(worker)).toBe(110)
    table.accepted(sent)
    table.report(report(3, { promptTokensPending: 90 }), 10_400)
    expect(promptTokensPending(worker)).toBe(90)
    // The report is the newer word.
    table.computed(sent)
    expect(promptTokensPending(worker)).toBe(90)
  })

  test('the first token says that they are computed, once', () => {
    const { table, worker } = tableWith()
    const sent = table.sent(worker, prompt(1))
    table.accepted(sent)
    table.computed(sent)
    table.computed(sent)
    table.ended(sent)
    expect(promptTokensPending(worker)).toBe(0)
  })

  test('they count as held from the sending to the first report after their end', () => {
    const { table, worker } = tableWith({ prefixes: ['old'] })
    const sent = table.sent(worker, prompt(1, { digests: ['system', 'whole'] }))
    table.accepted(sent)
    table.report(report(2), 10_200)
    expect([...worker.prefixes]).toEqual(['system', 'whole'])
    table.ended(sent)
    expect(worker.prefixes.has('whole')).toBe(true)
    table.report(report(3, { prefixes: ['system'] }), 10_400)
    expect([...worker.prefixes]).toEqual(['system'])
  })

  test('of a long conversation its beginnings and its ends are expected', () => {
    const { table, worker } = tableWith()
    table.sent(worker, prompt(1, { digests: Array.from({ length: 100 }, (_, i) => `d${i}`) }))
    expect([...worker.prefixes]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 92, 93, 94, 95, 96, 97, 98, 99].map((i) => `d${i}`))
  })
})
