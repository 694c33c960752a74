import { expect, test } from 'vitest'
import type { ModelDeploymentStatus } from '#contracts/resources/modelDeployment.ts'
import { occurrencesOf } from './occurrences.ts'
import { worthOf } from './statusChange.ts'

const condition = (
  type: 'Ready' | 'Degraded' | 'Progressing',
  status: 'True' | 'False',
  reason: string,
  message = '',
) => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: '2026-01-01T00:00:00Z',
  observedGeneration: 1,
})
const statusOf = (fields: Partial<ModelDeploymentStatus> = {}): ModelDeploymentStatus => ({
  conditions: [condition('Ready', 'True', 'Serving')],
  replicas: 1,
  readyReplicas: 1,
  selector: '',
  observedGeneration: 1,
  currentRevision: 'a',
  desiredRevision: 'a',
  url: '',
  measured: { tokensPerSecond: 100 },
  ...fields,
})

test('what people act on is written at once, progress soon, figures now and then, the same never', () => {
  const before = statusOf()
  expect(worthOf(null, before)).toEqual({ kind: 'now' })
  expect(worthOf(before, statusOf({ readyReplicas: 0 }))).toEqual({ kind: 'now' })
  expect(worthOf(before, statusOf({ conditions: [condition('Ready', 'False', 'NoWorkerReady')] }))).toEqual({
    kind: 'now',
  })
  const said = statusOf({ conditions: [condition('Ready', 'True', 'Serving', '12 of 90 MiB')] })
  expect(worthOf(before, said)).toMatchObject({ kind: 'later' })
  expect(worthOf(before, statusOf({ measured: { tokensPerSecond: 150 } }))).toMatchObject({ kind: 'later' })
  expect(worthOf(before, statusOf({ measured: { tokensPerSecond: 105 } }))).toEqual({ kind: 'same' })
  const measured = { tokensPerSecond: 0, meanAcceptanceLength: 1 }
  expect(worthOf(statusOf({ measured: { tokensPerSecond: 0 } }), statusOf({ measured }))).toEqual({ kind: 'now' })
  const later = { ...condition('Ready', 'True', 'Serving'), lastTransitionTime: '2027-01-01T00:00:00Z' }
  expect(worthOf(before, statusOf({ conditions: [later] }))).toEqual({ kind: 'same' })
})

test('an event is said when a condition turns, not when its words or its instant change, and once for one thing', () => {
  const waiting = statusOf({
    conditions: [condition('Ready', 'False', 'NoWorkerReady'), condition('Progressing', 'True', 'StartingWorkers')],
  })
  const serving = statusOf({
    conditions: [
      condition('Ready', 'True', 'Serving', '1 worker ready'),
      condition('Progressing', 'False', 'Complete'),
    ],
  })
  expect(occurrencesOf(null, waiting)).toEqual([])
  expect(occurrencesOf(waiting, serving).map(({ type, reason, note }) => [type, reason, note])).toEqual([
    ['Normal', 'Serving', 'Ready is True: 1 worker ready'],
  ])
  expect(occurrencesOf(serving, serving)).toEqual([])
  const broken = statusOf({
    conditions: [...serving.conditions, condition('Degraded', 'True', 'CrashLoop', '3 crashes')],
  })
  expect(occurrencesOf(serving, broken).map(({ type, reason }) => [type, reason])).toEqual([['Warning', 'CrashLoop']])
})
