import { describe, expect, test } from 'vitest'
import { ConditionType, type ModelDeploymentStatus } from '#contracts/resources/modelDeployment.ts'
import type { Desired, ModelState } from './observed.ts'
import { planDeployment } from './plan.ts'
import { recordOf } from './record.ts'
import type { RevisionEntry } from './revision.ts'
import { statusOf } from './status.ts'
import { desiredFor, observedOf, registrationOf, specOf, workerOf } from './testing.ts'

const spec = specOf()
const desired = desiredFor(spec)
const { revision } = desired
const ready = (name: string, of: string = revision) =>
  workerOf(name, of, { said: 'ready', registration: registrationOf(name, of) })

const statusFor = (
  fields: Parameters<typeof observedOf>[0],
  nowIso = '2030-01-01T00:00:00.000Z',
): ModelDeploymentStatus => {
  const observed = observedOf({ desired, ...fields })
  const status = statusOf(observed, planDeployment(observed, 0), { now: 0, nowIso })
  expect(status).not.toBeNull()
  return status ?? ({} as never)
}
const recordFor = (fields: Parameters<typeof observedOf>[0]) => {
  const observed = observedOf({ desired, ...fields })
  const { course } = planDeployment(observed, 0)
  return recordOf(observed, desired, 0, course?.target)
}
function entryOf({ revision, spec }: Desired): RevisionEntry {
  return { revision, spec, createdAt: '', state: 'current', message: '' }
}
const of = (status: ModelDeploymentStatus, type: ConditionType) => {
  const found = status.conditions.find((condition) => condition.type === type)
  return `${found?.status} ${found?.reason}`
}
const summary = (status: ModelDeploymentStatus) =>
  (['Ready', 'Progressing', 'Degraded', 'ModelCacheReady', 'WorkersReady'] as const).map((type) => of(status, type))

test('from nothing to serving, the conditions say what is awaited', () => {
  const fetching = { kind: 'fetching', activity: 'downloading', bytes: 1, bytesTotal: 2, bytesPerSecond: 1 } as const
  expect(summary(statusFor({ model: fetching }))).toEqual([
    'False FetchingModel',
    'True FetchingModel',
    'False AsExpected',
    'False Fetching',
    'False NotAllReady',
  ])
  expect(summary(statusFor({ workers: [workerOf('w', revision)] }))).toEqual([
    'False NoWorkerReady',
    'True StartingWorkers',
    'False AsExpected',
    'True Verified',
    'False NotAllReady',
  ])
  const serving = { workers: [ready('w')] }
  const observed = observedOf({ desired, ...serving })
  const [publish] = planDeployment(observed, 0).actions
  const published = publish?.kind === 'publish-record' ? publish.record : null
  expect(summary(statusFor({ ...serving, published }))).toEqual([
    'True Serving',
    'False Complete',
    'False AsExpected',
    'True Verified',
    'True AllReady',
  ])
})

test('while a rollout runs it is ready by its old worker, and the current revision is still the old one', () => {
  const before = statusFor({
    workers: [ready('old', 'before')],
    desired: { ...desired, revision: ready('x', 'before').revision },
  })
  expect(before.currentRevision).toBe('before')
  const during = statusFor({ workers: [ready('old', 'before'), workerOf('new', revision)], status: before })
  expect(during).toMatchObject({ currentRevision: 'before', desiredRevision: revision, readyReplicas: 1, replicas: 2 })
  expect(of(during, 'Ready')).toBe('True Serving')
  expect(of(during, 'TargetReady')).toBe('False NotLoaded')
  expect(statusFor({ workers: [ready('new')], status: during }).currentRevision).toBe(revision)
})

test('a crash is degraded, three in a row are a crash loop, and the message tells how it ended', () => {
  const crashes = { revision, inARow: 1, retryAt: 100, message: 'worker w exited with code 3' }
  expect(of(statusFor({ crashes }), 'Degraded')).toBe('True WorkerCrashed')
  const loop = statusFor({ crashes: { ...crashes, inARow: 3 }, workers: [ready('old', 'before')] })
  expect(of(loop, 'Degraded')).toBe('True CrashLoop')
  expect(loop.conditions.find(({ type }) => type === 'Degraded')?.message).toBe(
    '3 crashes in a row; the last: worker w exited with code 3 (the revision before still serves)',
  )
  expect(of(statusFor({ crashes, workers: [ready('again')] }), 'Degraded')).toBe('False AsExpected')
})

describe('what else a person should look at', () => {
  test('a model that cannot be had', () => {
    const status = statusFor({ model: { kind: 'failed', message: 'tried a, b', retryAt: null } })
    expect(summary(status)).toEqual([
      'False ModelUnavailable',
      'False Stalled',
      'True ModelUnavailable',
      'False FetchFailed',
      'False NotAllReady',
    ])
  })

  test('a name that another deployment holds', () => {
    const conflicts = [{ name: 'gpt', owner: { kind: 'deployment', name: 'older' } as const }]
    const status = statusFor({ desired: { ...desired, conflicts }, workers: [ready('w')] })
    expect(of(status, 'Degraded')).toBe('True NameConflict')
    expect(of(status, 'Ready')).toBe('True Serving')
  })

  test('an edit that could not be taken', () => {
    const status = statusFor({ workers: [ready('w')], resourceProblems: ['a.yaml:3: spec.x: no such field'] })
    expect(of(status, 'Degraded')).toBe('True ResourcesInvalid')
  })

  test('a worker that has fallen silent', () => {
    const silent = { ...ready('w'), heardAt: -60_000 }
    expect(of(statusFor({ workers: [silent], busConnectedSince: -60_000 }), 'Degraded')).toBe('True WorkerUnresponsive')
  })
})

test('the KV cache type is applied, differs, or is not known yet', () => {
  const q8 = desiredFor({ ...spec, compression: { kvCache: { ...spec.compression.kvCache, type: 'q8_0' } } })
  const worker = (type: string) => {
    const registration = registrationOf('w', q8.revision)
    const engine = { ...registration.engine, kvCacheType: type }
    return workerOf('w', q8.revision, { said: 'ready', registration: { ...registration, engine } })
  }
  expect(of(statusFor({ desired: q8, workers: [worker('q8_0')] }), 'CompressionApplied')).toBe('True Applied')
  expect(of(statusFor({ desired: q8, workers: [worker('f16')] }), 'CompressionApplied')).toBe('False Differs')
  expect(of(statusFor({ desired: q8 }), 'CompressionApplied')).toBe('Unknown NoWorkerReady')
})

test('scaled to zero is stopped, not degraded', () => {
  const status = statusFor({ desired: desiredFor(specOf({ replicas: 0 })), model: { kind: 'absent' } })
  expect(of(status, 'Stopped')).toBe('True ScaledToZero')
  expect(of(status, 'Ready')).toBe('False Stopped')
  expect(of(status, 'Degraded')).toBe('False AsExpected')
})

test('a condition keeps the time since when it holds, through new reasons and messages', () => {
  const first = statusFor({ workers: [] }, '2030-01-01T00:00:00.000Z')
  const second = statusFor({ workers: [workerOf('w', revision)], status: first }, '2030-01-01T00:00:09.000Z')
  const third = statusFor({ workers: [ready('w')], status: second }, '2030-01-01T00:00:12.000Z')
  const since = (status: ModelDeploymentStatus) =>
    status.conditions.find(({ type }) => type === 'Ready')?.lastTransitionTime
  expect([since(first), since(second), since(third)].map((time) => time?.slice(17, 19))).toEqual(['00', '00', '12'])
})

test('every condition names the generation it was judged by', () => {
  const status = statusFor({ desired: { ...desired, generation: 7 } })
  expect(new Set(status.conditions.map(({ observedGeneration }) => observedGeneration))).toEqual(new Set([7]))
})

test('the figures of all ready workers are added up', () => {
  const status = statusFor({ workers: [ready('a'), ready('b'), workerOf('c', revision)], sloGoodput: 1.5 })
  expect(status.measured).toEqual({ tokensPerSecond: 100, meanAcceptanceLength: 1, sloGoodput: 1.5 })
})

test('a deleted deployment shows what still drains, and nothing once that has ended', () => {
  const status = statusFor({ workers: [ready('w')] })
  const draining = observedOf({ desired: null, status, workers: [{ ...ready('w'), drainAskedAt: 0 }] })
  const at = { now: 1, nowIso: '2030-01-01T00:00:00.000Z' }
  expect(of(statusOf(draining, planDeployment(draining, 1), at) ?? status, 'Ready')).toBe('False Deleting')
  const gone = observedOf({ desired: null, status })
  expect(statusOf(gone, planDeployment(gone, 1), at)).toBeNull()
})

describe('a rollback', () => {
  const before = desiredFor(specOf({ context: 4096 }))
  const history = [
    { ...entryOf(desired), state: 'failed' as const, message: '3 crashes in a row; the last: exit code 3' },
    { ...entryOf(before), state: 'good' as const },
  ]

  test('is degraded with its reason, and the old revision is the current one', () => {
    const status = statusFor({ history, workers: [ready('old', before.revision)] })
    expect(of(status, 'Degraded')).toBe('True RolledBack')
    expect(of(status, 'Ready')).toBe('True Serving')
    expect(of(status, 'WorkersReady')).toBe('True AllReady')
    expect(status).toMatchObject({ currentRevision: before.revision, desiredRevision: revision })
    expect(status.revisions).toEqual([
      { revision, createdAt: '', state: 'failed', message: '3 crashes in a row; the last: exit code 3' },
      { revision: before.revision, createdAt: '', state: 'good', message: '' },
    ])
    const message = status.conditions.find(({ type }) => type === 'Degraded')?.message
    expect(message).toBe(
      `revision ${revision} was given up (3 crashes in a row; the last: exit code 3); revision ${before.revision} serves; change the spec to try again`,
    )
  })

  test('under way shows as progress', () => {
    const status = statusFor({ history, workers: [ready('new'), workerOf('old', before.revision)] })
    expect(of(status, 'Progressing')).toBe('True StartingWorkers')
    const published = recordFor({ history, workers: [ready('old', before.revision)] })
    expect(of(statusFor({ history, workers: [ready('old', before.revision)], published }), 'Progressing')).toBe(
      'False RolledBack',
    )
  })
})

test('a new revision that is fully there is complete, and the message says that it is still watched', () => {
  const history = [entryOf(desired), { ...entryOf(desiredFor(specOf({ context: 4096 }))), state: 'good' as const }]
  const status = statusFor({ history, workers: [ready('w')] })
  expect(of(status, 'Progressing')).toBe('False Complete')
  expect(status.conditions.find(({ type }) => type === 'Progressing')?.message).toMatch(/watched for 60 s/)
})

describe('a pair that scales', () => {
  const scaled = desiredFor(specOf({ scaling: { minReplicas: 0, maxReplicas: 3 } }))
  const view = { recommended: 0, reason: 'Asleep', holds: false, message: 'nobody asks' }

  test('asleep it is ready, stopped, and says that the next request wakes it', () => {
    const status = statusFor({ desired: scaled, replicas: 0, scaling: view })
    expect(of(status, 'Ready')).toBe('True ScaledToZero')
    expect(of(status, 'Stopped')).toBe('True Asleep')
    expect(of(status, 'ScalingReady')).toBe('True Asleep')
    expect(of(status, 'ModelCacheReady')).toBe('True Verified')
    expect(status.desiredReplicas).toBe(0)
  })

  test('without data it holds, and says so', () => {
    const holding = { ...view, reason: 'StaleMetrics', holds: true }
    const status = statusFor({ desired: scaled, replicas: 1, scaling: holding, workers: [ready('w', scaled.revision)] })
    expect(of(status, 'ScalingReady')).toBe('False StaleMetrics')
    expect(of(status, 'Degraded')).toBe('False AsExpected')
    expect(of(status, 'Ready')).toBe('True Serving')
  })

  test('a fixed number is scaled by nobody', () => {
    expect(of(statusFor({}), 'ScalingReady')).toBe('True Fixed')
  })
})

describe('a pair with a draft', () => {
  const draft = { source: 'https://models.example/draft.gguf', mirrors: [], sha256: 'd'.repeat(64) }
  const drafted = desiredFor({ ...spec, draft })
  const target = ['a'.repeat(64), { kind: 'ready', path: '/cache/a.gguf' }] as const
  const with_ = (state: ModelState) => statusFor({ desired: drafted, models: new Map([target, [draft.sha256, state]]) })

  test('has its model when both files are there', () => {
    const fetching = with_({ kind: 'fetching', activity: 'downloading', bytes: 1, bytesTotal: 2, bytesPerSecond: 1 })
    expect(of(fetching, 'ModelCacheReady')).toBe('False Fetching')
    expect(of(fetching, 'DraftReady')).toBe('False NotFetched')
    const failed = with_({ kind: 'failed', message: 'no source', retryAt: null })
    expect(of(failed, 'ModelCacheReady')).toBe('False FetchFailed')
    expect(of(failed, 'Degraded')).toBe('True ModelUnavailable')
    const there = with_({ kind: 'ready', path: '/cache/d.gguf' })
    expect(of(there, 'ModelCacheReady')).toBe('True Verified')
    expect(there.conditions.find(({ type }) => type === 'ModelCacheReady')?.message).toBe(
      'target: SHA-256 verified: /cache/a.gguf; draft: SHA-256 verified: /cache/d.gguf',
    )
  })

  test('waits for what was learned of the draft, and for its table, as for its models', () => {
    const [table, acceptance] = ['e', 'f'].map((digit) => ({ ...draft, sha256: digit.repeat(64) }))
    const learned = desiredFor({ ...spec, draft, speculation: { ...spec.speculation, table, acceptance } })
    const there = (sha256: string, path: string) => [sha256, { kind: 'ready', path } as ModelState] as const
    const models = [target, there(draft.sha256, '/cache/d.gguf'), there('e'.repeat(64), '/cache/e')]
    const waiting = statusFor({ desired: learned, models: new Map(models) })
    expect(of(waiting, 'ModelCacheReady')).toBe('False NotFetched')
    const whole = statusFor({ desired: learned, models: new Map([...models, there('f'.repeat(64), '/cache/f')]) })
    expect(of(whole, 'ModelCacheReady')).toBe('True Verified')
    expect(whole.conditions.find(({ type }) => type === 'ModelCacheReady')?.message).toMatch(
      /; table: SHA-256 verified: \/cache\/e; acceptance: SHA-256 verified: \/cache\/f$/,
    )
  })

  const told = (...dropped: { proposer: string; reason: string; message: string }[]) => {
    const worker = ready('w', drafted.revision)
    const speculation = {
      method: 'auto',
      draftTokensMax: 8,
      controller: 'goodput',
      proposers: ['draft', 'ngram'],
      dropped,
    } as const
    const registration = {
      ...registrationOf('w', drafted.revision),
      speculation: { ...speculation, proposers: [], dropped },
    }
    const models = new Map([target, [draft.sha256, { kind: 'ready', path: '/cache/d.gguf' } as ModelState]])
    return statusFor({ desired: drafted, models, workers: [{ ...worker, registration }] })
  }

  test('has its draft when a worker has loaded it', () => {
    expect(of(with_({ kind: 'ready', path: '/cache/d.gguf' }), 'DraftReady')).toBe('Unknown NoWorkerReady')
    expect(of(told(), 'DraftReady')).toBe('True Loaded')
    expect(of(statusFor({}), 'DraftReady')).toBe('True NotNeeded')
  })

  test('serves without a draft that does not fit, and says why', () => {
    const status = told({ proposer: 'draft', reason: 'VocabularyMismatch', message: 'token 7 is "a" and "b"' })
    expect(of(status, 'Ready')).toBe('True Serving')
    expect(of(status, 'DraftReady')).toBe('False VocabularyMismatch')
    const closed = told({ proposer: 'draft', reason: 'DraftMemory', message: '7 MiB of memory are missing' })
    expect(of(closed, 'Ready')).toBe('True Serving')
    expect(closed.conditions.find(({ type }) => type === 'DraftReady')).toMatchObject({
      status: 'False',
      reason: 'DraftMemory',
      message: '1 worker without draft: 7 MiB of memory are missing',
    })
  })
})

test('a field that this version does not carry out is named by the condition it belongs to', () => {
  const later = desiredFor({
    ...spec,
    kvPrediction: { mode: 'on' },
  })
  const status = statusFor({ desired: later, workers: [ready('w', later.revision)] })
  const message = (type: ConditionType) => status.conditions.find((condition) => condition.type === type)?.message
  expect(message('CompressionApplied')).toContain('spec.kvPrediction.mode')
})

test('every kind of condition is there, each once', () => {
  const types = statusFor({}).conditions.map(({ type }) => type)
  expect(types.toSorted()).toEqual(ConditionType.options.toSorted())
})
