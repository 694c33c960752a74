import { describe, expect, test } from 'vitest'
import { Revision } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { planDeployment } from './plan.ts'
import { recordOf } from './record.ts'
import { desiredFor, ModelWorld, observedOf, said, specOf, workerOf } from './testing.ts'

const spec = specOf()
const desired = desiredFor(spec)
const { revision } = desired

/** What is planned besides the record, which has its own tests. */
const plannedFor = (fields: Parameters<typeof observedOf>[0], now = 0) => {
  const observed = observedOf(fields)
  const published = observed.desired === null ? null : recordOf(observed, observed.desired, now)
  return said(planDeployment({ ...observed, published }, now).actions)
}

const bringUp = (world: ModelWorld) => {
  for (let i = 0; i < 4; i++) {
    world.step()
    world.settle()
  }
}

test('a new deployment goes from nothing to serving in three reconciles, and then rests', () => {
  const world = new ModelWorld(desired)
  expect(said(world.step().actions)).toEqual(['fetch aaaa', 'publish-record'])
  expect(said(world.step().actions)).toEqual([])
  world.settle()
  expect(said(world.step().actions)).toEqual([`start ${revision}`])
  expect(world.step()).toMatchObject({ actions: [], next: { kind: 'wait', until: 'worker-ready' } })
  world.settle()
  expect(world.step().next).toEqual({ kind: 'done' })
})

test('the simulated engine needs no model', () => {
  const simulated = desiredFor(specOf({ simulated: true }))
  expect(plannedFor({ desired: simulated, model: { kind: 'not-needed' } })).toEqual([`start ${simulated.revision}`])
})

test('a rollout of one replica: start the new, wait until it is ready, drain the old, done', () => {
  const world = new ModelWorld(desired)
  bringUp(world)
  const next = desiredFor(specOf({ context: 1024 }))
  world.desired = next
  expect(said(world.step().actions)).toEqual([`start ${next.revision}`])
  expect(said(world.step().actions)).toEqual([])
  world.becomeReady(1)
  expect(said(world.step().actions)).toEqual(['publish-record', 'drain w0 replaced'])
  expect(world.step().next).toMatchObject({ kind: 'wait', until: 'drained' })
  world.settle()
  expect(world.step().next).toEqual({ kind: 'wait', until: 'watched', recheckMs: limits.operator.resyncMs })
  world.pass(60_000)
  expect(world.step().next).toEqual({ kind: 'done' })
})

test('a rollout of three replicas never has more than four workers that serve or start', () => {
  const world = new ModelWorld(desiredFor(specOf({ replicas: 3 })))
  bringUp(world)
  const next = desiredFor(specOf({ replicas: 3, context: 1024 }))
  world.desired = next
  const lines: string[] = []
  for (let i = 0; i < 8; i++) {
    lines.push(said(world.step().actions).join(', ') || '-')
    expect(world.workers.filter(({ drainAskedAt }) => drainAskedAt === null).length).toBeLessThanOrEqual(4)
    expect(world.readyCount).toBeGreaterThanOrEqual(3)
    world.settle()
  }
  const start = `start ${next.revision}`
  expect(lines).toEqual([
    start,
    'publish-record, drain w0 replaced',
    start,
    'drain w1 replaced',
    start,
    'drain w2 replaced',
    '-',
    '-',
  ])
})

test('an edit back to the revision that still serves keeps its worker and drops the newcomer', () => {
  const workers = [workerOf('old', revision, { said: 'ready' }), workerOf('newcomer', 'other')]
  expect(plannedFor({ desired, workers })).toEqual(['drain newcomer replaced'])
})

test('an old worker that is not ready serves nobody and goes at once', () => {
  const workers = [workerOf('old', 'before', { said: 'loading' })]
  expect(plannedFor({ desired, workers })).toEqual([`start ${revision}`, 'drain old replaced'])
})

test('a deployment scaled down keeps the workers that have been there longest', () => {
  const workers = [
    workerOf('oldest', revision, { said: 'ready', startedAt: 0 }),
    workerOf('younger', revision, { said: 'ready', startedAt: 10 }),
    workerOf('starting', revision, { startedAt: 5 }),
  ]
  expect(plannedFor({ desired, workers })).toEqual(['drain starting scaled-down', 'drain younger scaled-down'])
})

test('scaled to zero: everything drains, and no model is fetched for nobody', () => {
  const zero = desiredFor(specOf({ replicas: 0 }))
  const workers = [workerOf('w', zero.revision, { said: 'ready' })]
  expect(plannedFor({ desired: zero, workers, model: { kind: 'absent' } })).toEqual(['drain w scaled-down'])
})

describe('after a crash', () => {
  const crashes = { revision, inARow: 1, retryAt: 1_000, message: 'exited with code 3' }

  test('nothing is started before the wait is over, and then it is a restart', () => {
    expect(plannedFor({ desired, crashes }, 999)).toEqual([])
    expect(planDeployment(observedOf({ desired, crashes }), 400).next).toMatchObject({
      until: 'back-off',
      recheckMs: 600,
    })
    expect(plannedFor({ desired, crashes }, 1_000)).toEqual([`start ${revision} again`])
  })

  test('replicas are started one at a time, the next once the one before is ready', () => {
    const three = desiredFor(specOf({ replicas: 3 }))
    const base = { desired: three, crashes: { ...crashes, revision: three.revision } }
    expect(plannedFor(base, 1_000)).toEqual([`start ${three.revision} again`])
    expect(plannedFor({ ...base, workers: [workerOf('w', three.revision)] }, 1_000)).toEqual([])
    const ready = [workerOf('w', three.revision, { said: 'ready' })]
    expect(plannedFor({ ...base, workers: ready }, 1_000)).toEqual([`start ${three.revision} again`])
  })

  test('a new revision is tried at once: the crashes of another one say nothing about it', () => {
    const other = { ...crashes, revision: Revision.parse('other') }
    expect(plannedFor({ desired, crashes: other }, 0)).toEqual([`start ${revision}`])
  })

  test('a crash of the new revision leaves the old one serving', () => {
    const workers = [workerOf('old', 'before', { said: 'ready' })]
    expect(plannedFor({ desired, crashes, workers }, 0)).toEqual([])
  })
})

describe('a worker that says nothing', () => {
  const { silenceMs, startTimeoutMs } = limits.operator

  test('is killed and replaced in the same plan once it has been silent for too long', () => {
    const workers = [workerOf('w', revision, { said: 'ready', heardAt: 0 })]
    expect(plannedFor({ desired, workers }, silenceMs - 1)).toEqual([])
    expect(plannedFor({ desired, workers }, silenceMs)).toEqual(['kill w unresponsive', `start ${revision}`])
  })

  test('has longer before its first word', () => {
    const workers = [workerOf('w', revision, { startedAt: 0 })]
    expect(plannedFor({ desired, workers }, startTimeoutMs - 1)).toEqual([])
    expect(plannedFor({ desired, workers }, startTimeoutMs)).toContain('kill w unresponsive')
  })

  test('is not blamed while NATS cannot be reached, nor just after', () => {
    const workers = [workerOf('w', revision, { said: 'ready', heardAt: 0 })]
    expect(plannedFor({ desired, workers, busConnectedSince: null }, 10 * silenceMs)).toEqual([])
    expect(plannedFor({ desired, workers, busConnectedSince: 9.5 * silenceMs }, 10 * silenceMs)).toEqual([])
  })
})

describe('a model that cannot be had', () => {
  test('is tried again when its time has come', () => {
    const model = { kind: 'failed', message: 'no source', retryAt: 100 } as const
    expect(plannedFor({ desired, model }, 99)).toEqual([])
    expect(plannedFor({ desired, model }, 100)).toEqual(['fetch aaaa'])
  })

  test('stalls the deployment where nothing but a change helps', () => {
    const model = { kind: 'failed', message: 'offline', retryAt: null } as const
    expect(planDeployment(observedOf({ model }), 0).next).toEqual({ kind: 'stalled', reason: 'offline' })
  })

  test('leaves the revision before serving', () => {
    const model = { kind: 'failed', message: 'no source', retryAt: 100 } as const
    const workers = [workerOf('old', 'before', { said: 'ready' })]
    expect(plannedFor({ desired, model, workers }, 0)).toEqual([])
  })
})

describe('a deleted deployment', () => {
  const published = recordOf(observedOf(), desired, 0)

  test('loses its record first, then its workers, then is forgotten', () => {
    const workers = [workerOf('w', revision, { said: 'ready' })]
    const first = planDeployment(observedOf({ desired: null, workers, published }), 0)
    expect(said(first.actions)).toEqual(['remove-record', 'drain w deleted'])
    const draining = [workerOf('w', revision, { said: 'draining', drainAskedAt: 0 })]
    expect(planDeployment(observedOf({ desired: null, workers: draining }), 1)).toMatchObject({
      actions: [],
      next: { kind: 'wait', until: 'drained' },
    })
    expect(said(planDeployment(observedOf({ desired: null }), 2).actions)).toEqual(['forget'])
  })

  test('ends even where a worker does not: it is killed after its grace', () => {
    const workers = [workerOf('w', revision, { said: 'draining', drainAskedAt: 0 })]
    const observed = observedOf({ desired: null, workers, drainGraceMs: 500 })
    expect(planDeployment(observed, 100).next).toMatchObject({ recheckMs: 400 })
    expect(said(planDeployment(observed, 500).actions)).toEqual(['kill w grace-over'])
  })

  test('is looked at again when the grace of what it drains now is over', () => {
    const workers = [workerOf('w', revision, { said: 'ready' })]
    const observed = observedOf({ desired: null, workers, drainGraceMs: 500 })
    expect(planDeployment(observed, 0).next).toMatchObject({ recheckMs: 500 })
  })
})

test('a worker that drains of its own accord is replaced at once, and killed where it falls silent over it', () => {
  const workers = [workerOf('w', revision, { said: 'draining' })]
  expect(plannedFor({ desired, workers })).toEqual([`start ${revision}`])
  expect(plannedFor({ desired: null, workers }, limits.operator.silenceMs)).toEqual(['kill w unresponsive'])
})
