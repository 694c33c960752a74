import { describe, expect, test } from 'vitest'
import { DeploymentName, WorkerId } from '#contracts/ids.ts'
import type { WorkerReport } from '#contracts/messages.ts'
import { workerReport } from '#contracts/testing/workerReport.ts'
import { freeSlots, loadOf, type Worker, WorkerTable } from './workers.ts'

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

describe('load between reports', () => {
  test('what was sent counts before any report knows of it', () => {
    const { table, worker } = tableWith()
    table.sent(worker, 2)
    expect(freeSlots(worker)).toBe(6)
  })

  test('a report taken before the worker got the dispatch does not hide it', () => {
    const { table, worker } = tableWith()
    table.sent(worker, 1)
    table.report(report(2, { slots: { total: 8, busy: 3, waiting: 0 } }), 10_200)
    expect(loadOf(worker)).toBe(4)
    table.accepted(worker, 1)
    table.report(report(3, { slots: { total: 8, busy: 4, waiting: 0 } }), 10_400)
    expect(loadOf(worker)).toBe(4)
  })

  test('what ended since the report is free at once', () => {
    const { table, worker } = tableWith()
    table.sent(worker, 1)
    table.accepted(worker, 1)
    table.report(report(2, { slots: { total: 8, busy: 8, waiting: 0 } }), 10_200)
    table.ended(worker, 1, true)
    expect(freeSlots(worker)).toBe(1)
  })

  test('a refused dispatch leaves nothing behind', () => {
    const { table, worker } = tableWith()
    table.sent(worker, 3)
    table.ended(worker, 3, false)
    expect(worker).toMatchObject({ inFlight: 0, unanswered: 0, drift: 0 })
  })
})
