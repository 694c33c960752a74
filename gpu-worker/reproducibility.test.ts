import { expect, test } from 'vitest'
import { systemClock } from '#runtime/clock.ts'
import type { ModelRunner } from './modelRunner.ts'
import { proveReproducible } from './reproducibility.ts'
import { createSimulatedRunner } from './simulated/simulatedRunner.ts'

const runner = (slots = 8) =>
  createSimulatedRunner({
    promptTokensPerSecond: 1_000,
    stepMs: 0,
    rowMs: 0,
    acceptance: 1,
    draftTokens: 0,
    seed: 3,
    faults: [],
    slots,
    contextTokensMax: 1_024,
    kvLayout: 'split',
    clock: systemClock,
    immediate: queueMicrotask,
  })

/** The runner, but rows of a decode with more than `rows` of them are off by a little. */
function offWithManyRows(inner: ModelRunner, rows: number, by: number): ModelRunner {
  let decoded = 0
  return Object.assign(Object.create(inner) as ModelRunner, {
    info: inner.info,
    batchTokensMax: inner.batchTokensMax,
    truncate: inner.truncate.bind(inner),
    saveSequence: inner.saveSequence.bind(inner),
    restoreSequence: inner.restoreSequence.bind(inner),
    async decode(spans: Parameters<ModelRunner['decode']>[0]) {
      const result = await inner.decode(spans)
      decoded = result.kind === 'decoded' ? result.rows : 0
      return result
    },
    logits: (row: number) => inner.logits(row).map((value, i) => (decoded > rows && i === 5 ? value + by : value)),
  })
}

test('a runner whose rows depend on nothing else is proved', async () => {
  expect(await proveReproducible(runner())).toEqual({ kind: 'reproducible', comparisons: 14 * 16 })
})

test('one slot is enough for the shapes that need no other', async () => {
  expect(await proveReproducible(runner(1))).toMatchObject({ kind: 'reproducible' })
})

test('a difference in one shape is named with its size', async () => {
  const proof = await proveReproducible(offWithManyRows(runner(), 4, 0.25))
  expect(proof).toMatchObject({ kind: 'differs', shape: '5 rows' })
  expect(proof.kind === 'differs' && proof.differenceMax).toBeCloseTo(0.25, 5)
})

test('a row that is no number is a difference', async () => {
  const proof = await proveReproducible(offWithManyRows(runner(), 1, Number.NaN))
  expect(proof).toEqual({ kind: 'differs', shape: '2 rows', differenceMax: Number.POSITIVE_INFINITY })
})

test('it gives way when asked to, and leaves the slots empty', async () => {
  const subject = runner()
  let decodes = 0
  expect(await proveReproducible(subject, { mayContinue: () => ++decodes < 40 })).toEqual({ kind: 'interrupted' })
  expect(subject.sequenceBytes(0)).toBe(runner().sequenceBytes(0))
})
