import { expect, test } from 'vitest'
import { DeploymentReport, OperatorStatus } from '#contracts/operatorStatus.ts'
import { readiness, stagesOf } from './readiness.ts'

const condition = (type: string, status: string, message = '') => ({
  type,
  status,
  reason: 'Reason',
  message,
  lastTransitionTime: '2026-01-01T00:00:00Z',
  observedGeneration: 1,
})

const deployment = (name: string, change: object = {}, isReady = false) =>
  DeploymentReport.parse({
    name,
    generation: 1,
    deleting: false,
    replicasWanted: 1,
    servedNames: [name],
    simulated: false,
    model: { kind: 'absent' },
    workers: [],
    restarts: 0,
    status: {
      conditions: [condition('Ready', isReady ? 'True' : 'False', 'no worker is ready yet')],
      replicas: 1,
      readyReplicas: isReady ? 1 : 0,
      selector: '',
      observedGeneration: 1,
      currentRevision: 'r',
      desiredRevision: 'r',
      url: '',
      measured: {},
    },
    ...change,
  })

const status = (deployments: DeploymentReport[], problems: string[] = []): OperatorStatus =>
  OperatorStatus.parse({
    version: '1',
    pid: 1,
    uptimeMs: 1,
    natsConnected: true,
    resources: { path: '', problems },
    deployments,
  })

test('everything is ready once every pair that wants workers is', () => {
  const idle = deployment('idle', { replicasWanted: 0 })
  expect(readiness(status([deployment('a', {}, true), idle]))).toMatchObject({ kind: 'ready' })
  expect(readiness(status([deployment('a', {}, true), deployment('b')]))).toEqual({
    kind: 'waiting',
    activity: 'b: no worker is ready yet',
  })
  expect(readiness(status([]))).toEqual({ kind: 'waiting', activity: 'reading resources' })
})

test('a download is shown as a bar where its size is known, and as bytes where it is not', () => {
  const model = {
    kind: 'fetching',
    activity: 'from x',
    bytes: 512 * 1024,
    bytesTotal: 1024 * 1024,
    bytesPerSecond: 1024 * 1024,
  }
  expect(readiness(status([deployment('a', { model })]))).toEqual({
    kind: 'waiting',
    activity: 'a: [############............] 0.5 of 1.0 MiB 1.0 MiB/s from x',
  })
  const unknown = { ...model, bytesTotal: null, bytesPerSecond: 0 }
  expect(readiness(status([deployment('a', { model: unknown })]))).toMatchObject({ activity: 'a: from x 0.5 MiB' })
})

test('waiting ends where it cannot help: a model nobody gives, a crash loop, broken resources', () => {
  const failed = { kind: 'failed', message: 'no space left', retryInMs: null }
  expect(readiness(status([deployment('a', { model: failed })]))).toEqual({
    kind: 'hopeless',
    reason: 'a: no space left',
  })
  expect(readiness(status([deployment('a', { restarts: 3 })]))).toMatchObject({ kind: 'hopeless' })
  expect(readiness(status([deployment('a', { restarts: 3 }, true)]))).toMatchObject({ kind: 'ready' })
  expect(readiness(status([], ['a.yaml:1: bad']))).toEqual({ kind: 'hopeless', reason: 'a.yaml:1: bad' })
})

test('a stage names what is new and never a number that moves', () => {
  const model = { kind: 'fetching', activity: 'from x', bytes: 1, bytesTotal: 2, bytesPerSecond: 3 }
  const stages = stagesOf(
    status([deployment('a', { model }), deployment('b', {}, true), deployment('c', { deleting: true })]),
  )
  expect([...stages.values()]).toEqual([
    'fetching its model',
    'ready (1 of 1 workers)',
    'draining: it is gone from the resources',
  ])
})
