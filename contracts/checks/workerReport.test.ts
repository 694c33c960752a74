import fc from 'fast-check'
import { expect, test } from 'vitest'
import { limits } from '../limits.ts'
import { WorkerReport } from '../messages.ts'
import { isWorkerReport } from './workerReport.ts'
import { withOneReplaced } from '../testing/withOneReplaced.ts'

const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,128}$/)
const figure = (min: number) => fc.double({ min, noNaN: true, noDefaultInfinity: true })
const positive = fc.double({ min: 0, minExcluded: true, noNaN: true, noDefaultInfinity: true })
const costCurve = fc.record({
  rows: fc.array(fc.integer({ min: 1 }), { maxLength: 3 }),
  contexts: fc.array(fc.nat(), { maxLength: 3 }),
  ms: fc.array(fc.array(positive, { maxLength: 3 }), { maxLength: 3 }),
  promptTokensPerSecond: positive,
  origin: fc.constantFrom('prior', 'cached', 'measured'),
})
const report = fc.record(
  {
    worker: id,
    deployment: id,
    revision: id,
    number: fc.maxSafeNat(),
    state: fc.constantFrom('loading', 'ready', 'draining', 'stopped'),
    slots: fc.record({ total: fc.integer(), busy: fc.integer(), waiting: fc.integer() }),
    cells: fc.record({ total: fc.integer(), used: fc.integer() }),
    promptTokensPending: fc.nat(),
    prefixes: fc.array(fc.string(), { maxLength: limits.worker.prefixDigestsMax }),
    costCurve,
    acceptanceLength: figure(1),
    tokensPerSecond: figure(0),
    experts: fc.array(fc.string(), { maxLength: 3 }),
    expertLoadMs: figure(0),
  },
  {
    requiredKeys: Object.keys(WorkerReport.shape).filter(
      (name) => name !== 'costCurve' && name !== 'expertLoadMs',
    ) as 'worker'[],
  },
)

test('every report of the schema is one by the check', () => {
  fc.assert(
    fc.property(report, (value) => {
      expect(WorkerReport.safeParse(value).success).toBe(true)
      expect(isWorkerReport(value)).toBe(true)
    }),
  )
})

test('with one part replaced by anything, check and schema agree', () => {
  fc.assert(
    fc.property(withOneReplaced(report), (value) => {
      expect(isWorkerReport(value)).toBe(WorkerReport.safeParse(value).success)
    }),
    { numRuns: 3_000 },
  )
})

test('with one part left out, check and schema agree', () => {
  fc.assert(
    fc.property(report, fc.constantFrom(...Object.keys(WorkerReport.shape)), (value, name) => {
      const without = Object.fromEntries(Object.entries(value).filter(([key]) => key !== name))
      expect(isWorkerReport(without)).toBe(WorkerReport.safeParse(without).success)
    }),
  )
})

test('one digest too many is too many for both', () => {
  fc.assert(
    fc.property(report, fc.nat(2), (value, more) => {
      const long = { ...value, prefixes: Array.from({ length: limits.worker.prefixDigestsMax - 1 + more }, () => 'a') }
      expect(isWorkerReport(long)).toBe(more <= 1)
      expect(WorkerReport.safeParse(long).success).toBe(more <= 1)
    }),
  )
})
