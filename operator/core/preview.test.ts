import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Observed } from './observed.ts'
import { preview, readied } from './preview.ts'
import { desiredFor, observedOf, said, specOf, workerOf } from './testing.ts'

const ready = (observed: Observed): Observed => ({
  ...observed,
  workers: observed.workers.map((worker) => readied(worker, observed.name, 0)),
})
const serving = (replicas: number, fields: Partial<Observed> = {}): Observed => {
  const before = desiredFor(specOf({ replicas }))
  const workers = Array.from({ length: replicas }, (_, i) => workerOf(`w${i}`, before.revision))
  const history = [{ revision: before.revision, spec: before.spec, createdAt: '', state: 'good' as const, message: '' }]
  return ready(observedOf({ desired: before, workers, history, ...fields }))
}
const lines = (observed: Observed) =>
  preview(observed, 0).steps.map(({ actions, next }) =>
    [...said(actions), next.kind === 'wait' ? `(${next.until})` : next.kind].join(' '),
  )

test('a new pair: fetch, start, done', () => {
  const observed = observedOf({ model: { kind: 'absent' } })
  const { revision } = desiredFor(specOf())
  expect(lines(observed)).toEqual(['fetch aaaa (model)', `start ${revision} (worker-ready)`, 'done'])
})

test('a change of the engine replaces one worker after the other, and never serves with fewer', () => {
  const next = desiredFor(specOf({ replicas: 2, context: 1024 }))
  const observed = serving(2, { desired: next })
  expect(lines(observed)).toEqual([
    `start ${next.revision} (worker-ready)`,
    'drain w0 replaced (drained)',
    `start ${next.revision} (worker-ready)`,
    'drain w1 replaced (drained)',
    '(watched)',
    'done',
  ])
  expect(preview(observed, 0)).toMatchObject({ end: 'done', readyLeast: 2, aliveMost: 3 })
})

test('what no worker is started with needs no new one', () => {
  const { desired } = serving(1)
  const named = desired === null ? null : { ...desired, servedNames: ['smol', 'other'] }
  expect(lines(serving(1, { desired: named }))).toEqual(['done'])
})

test('a pair that is removed drains all it has', () => {
  expect(lines(serving(2, { desired: null }))).toEqual(['drain w0 deleted drain w1 deleted (drained)', 'done'])
})

test('whatever the change, it ends', () => {
  const bounds = fc.record({ before: fc.nat(3), after: fc.nat(4), context: fc.constantFrom(1024, 2048) })
  fc.assert(
    fc.property(bounds, ({ before, after, context }) => {
      const { end, steps } = preview(serving(before, { desired: desiredFor(specOf({ replicas: after, context })) }), 0)
      expect(end).toBe('done')
      expect(steps.at(-1)).toMatchObject({ ready: after, alive: after })
    }),
  )
})
