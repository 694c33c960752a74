import { describe, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import type { DemandSample } from './observed.ts'
import { planDeployment } from './plan.ts'
import { parseHistory } from './revision.ts'
import { desiredFor, ModelWorld, noDemand, observedOf, said, specOf, type SpecFields } from './testing.ts'

/** A deployment whose first revision serves, and an edit that asks for another one. */
function edited(fields: SpecFields = {}) {
  const before = desiredFor(specOf(fields))
  const after = desiredFor(specOf({ ...fields, context: 1024 }))
  const world = new ModelWorld(before)
  settle(world)
  world.desired = after
  return { world, before, after }
}

function settle(world: ModelWorld): void {
  for (let i = 0; i < 8; i++) {
    world.step()
    world.settle()
  }
}

const states = (world: ModelWorld) => world.history.map(({ revision, state }) => `${revision} ${state}`)
const crashUntilGivenUp = (world: ModelWorld, revision: string) => {
  for (let i = 0; i < limits.operator.crashLoopAfter; i++) {
    world.pass(limits.operator.backOffMsMax)
    world.step()
    world.crash(world.workers.findIndex((worker) => worker.revision === revision))
  }
}

describe('the history', () => {
  test('begins with the first revision, which is good as soon as it serves in full', () => {
    const desired = desiredFor(specOf({ replicas: 2 }))
    const world = new ModelWorld(desired)
    world.step()
    expect(states(world)).toEqual([`${desired.revision} current`])
    settle(world)
    expect(states(world)).toEqual([`${desired.revision} good`])
  })

  test('calls a new revision good once it was watched, and forgets one that never got through', () => {
    const { world, before, after } = edited()
    settle(world)
    expect(states(world)).toEqual([`${after.revision} current`, `${before.revision} good`])
    world.pass(60_000)
    world.step()
    expect(states(world)).toEqual([`${after.revision} good`, `${before.revision} good`])
    const third = desiredFor(specOf({ context: 512 }))
    const fourth = desiredFor(specOf({ context: 256 }))
    world.desired = third
    world.step()
    world.desired = fourth
    world.step()
    expect(states(world)).toEqual([`${fourth.revision} current`, `${after.revision} good`, `${before.revision} good`])
  })

  test('calls a revision good that served in full when the next one was asked for', () => {
    const { world, before, after } = edited()
    settle(world)
    expect(states(world)[0]).toBe(`${after.revision} current`)
    world.desired = desiredFor(specOf({ context: 512 }))
    world.step()
    expect(states(world).slice(1)).toEqual([`${after.revision} good`, `${before.revision} good`])
  })

  test('is bounded, and never loses the last good revision', () => {
    const { world, before } = edited({ rollout: { historyMax: 2 } })
    for (const context of [512, 256, 128]) {
      world.desired = desiredFor(specOf({ context, rollout: { historyMax: 2 } }))
      world.step()
      crashUntilGivenUp(world, world.desired.revision)
      world.step()
    }
    expect(states(world)).toEqual([`${world.desired?.revision} failed`, `${before.revision} good`])
  })

  test('says when each revision was asked for, and does not change while nothing does', () => {
    const { world } = edited()
    settle(world)
    world.pass(60_000)
    world.step()
    const kept = world.history
    for (let i = 0; i < 5; i++) {
      world.pass(10_000)
      world.step()
    }
    expect(world.history).toBe(kept)
    expect(kept.map(({ createdAt }) => createdAt)).toEqual(['2030-01-01T00:00:00.000Z', '2030-01-01T00:00:00.000Z'])
  })

  test('is read back as it was stored; what is not understood is left out', () => {
    const { world } = edited()
    world.step()
    const stored: unknown = JSON.parse(JSON.stringify(world.history))
    expect(parseHistory(stored)).toEqual(world.history)
    expect(parseHistory([...world.history, { revision: 'x', spec: { from: 'another version' } }])).toEqual(
      world.history,
    )
    expect(parseHistory('nonsense')).toEqual([])
  })
})

describe('a revision that does not come up', () => {
  test('is given up after crashes in a row, and the old one is what runs', () => {
    const { world, before, after } = edited()
    world.step()
    crashUntilGivenUp(world, after.revision)
    world.step()
    expect(states(world)).toEqual([`${after.revision} failed`, `${before.revision} good`])
    expect(world.workers.map(({ revision }) => revision)).toEqual([before.revision])
    expect(world.step()).toMatchObject({ actions: [], next: { kind: 'done' }, course: { failed: { state: 'failed' } } })
    expect(world.history[0]?.message).toBe('3 crashes in a row; the last: it crashed')
  })

  test('is given up when it is not ready in time, with its worker', () => {
    const { world, before, after } = edited({ rollout: { readyTimeoutSeconds: 100 } })
    world.step()
    world.becomeReady(0)
    expect(world.step().next).toMatchObject({ until: 'worker-ready', recheckMs: limits.operator.resyncMs })
    world.pass(99_999)
    world.becomeReady(0)
    expect(world.step().next).toMatchObject({ recheckMs: 1 })
    world.pass(1)
    expect(said(world.step().actions)).toEqual(['drain w1 rolled-back'])
    expect(states(world)).toEqual([`${after.revision} failed`, `${before.revision} good`])
    expect(world.history[0]?.message).toBe('worker w1 was not ready after 100 s')
  })

  test('is not blamed for the time its model takes to arrive', () => {
    const { world, after } = edited({ rollout: { readyTimeoutSeconds: 100 } })
    world.model = { kind: 'absent' }
    world.step()
    world.pass(500_000)
    world.step()
    expect(states(world)[0]).toBe(`${after.revision} current`)
  })

  test('stays out while only the number of workers changes, and may try again once the spec does', () => {
    const { world, before, after } = edited()
    world.step()
    crashUntilGivenUp(world, after.revision)
    settle(world)
    world.desired = desiredFor(specOf({ context: 1024, replicas: 2 }))
    settle(world)
    expect(world.workers.map(({ revision }) => revision)).toEqual([before.revision, before.revision])
    world.desired = desiredFor(specOf({ context: 1024, replicas: 2, rollout: { readyTimeoutSeconds: 5_000 } }))
    world.pass(limits.operator.backOffMsMax)
    expect(said(world.step().actions)).toContain(`start ${after.revision} again`)
    expect(states(world)).toEqual([`${after.revision} current`, `${before.revision} good`])
  })

  test('is tried again when somebody asks for it after another one', () => {
    const { world, before, after } = edited()
    world.step()
    crashUntilGivenUp(world, after.revision)
    settle(world)
    world.desired = before
    settle(world)
    expect(states(world)).toEqual([`${before.revision} good`, `${after.revision} failed`])
    world.desired = after
    world.step()
    expect(states(world)).toEqual([`${after.revision} current`, `${before.revision} good`])
  })

  test('goes on trying where there is nothing to go back to, or where rollback is off', () => {
    const first = desiredFor(specOf())
    const alone = new ModelWorld(first)
    alone.model = { kind: 'ready', path: '/cache/a.gguf' }
    crashUntilGivenUp(alone, first.revision)
    crashUntilGivenUp(alone, first.revision)
    alone.step()
    expect(states(alone)).toEqual([`${first.revision} current`])
    const { world, after } = edited({ rollout: { automaticRollback: false } })
    world.step()
    crashUntilGivenUp(world, after.revision)
    world.step()
    expect(states(world)[0]).toBe(`${after.revision} current`)
  })
})

describe('while a new revision is in trouble', () => {
  test('the last worker of the old one is started again when it crashes', () => {
    const { world, before, after } = edited()
    world.step()
    world.crash(1)
    world.crash(0)
    expect(said(world.step().actions)).toEqual(['publish-record'])
    world.pass(1_000)
    expect(said(world.step().actions)).toEqual([`start ${after.revision} again`, `start ${before.revision} again`])
    world.becomeReady(1)
    expect(said(world.step().actions)).toEqual(['publish-record'])
    expect(world.readyCount).toBe(1)
  })

  test('the old one is kept at full strength while the new model cannot be had', () => {
    const { world, before } = edited({ replicas: 3 })
    const other = { source: 'https://models.example/b.gguf', mirrors: [], sha256: 'b'.repeat(64) }
    world.desired = desiredFor(ModelDeploymentSpec.parse({ ...specOf({ replicas: 3 }), target: other }))
    world.step()
    world.crash(0)
    world.pass(1_000)
    const models = new Map([
      ['a'.repeat(64), { kind: 'ready', path: '/cache/a.gguf' } as const],
      ['b'.repeat(64), { kind: 'failed', message: 'no source', retryAt: 9e9 } as const],
    ])
    const observed = { ...world.observe(), models }
    expect(said(planDeployment(observed, world.now).actions)).toEqual([`start ${before.revision} again`])
  })

  test('a revision that has long been good is only restarted: no older one takes its place', () => {
    const { world, after } = edited()
    settle(world)
    world.pass(60_000)
    world.step()
    world.crash(0)
    world.pass(60_000)
    expect(said(world.step().actions)).toEqual([`start ${after.revision} again`])
  })
})

describe('the guard on goodput', () => {
  const sample = (at: number, offered: number, met: number): DemandSample => ({
    at,
    waiting: 0,
    offered,
    met,
    waits: [],
  })

  function rolledOutWith(after: { offered: number; met: number }, rollout: object = {}) {
    const { world, before, after: next } = edited({ rollout })
    world.demand = { ...noDemand, samples: [sample(-10_000, 100, 95)] }
    settle(world)
    world.pass(30_000)
    world.demand = { ...noDemand, samples: [sample(-10_000, 100, 95), sample(20_000, after.offered, after.met)] }
    world.step()
    return { world, before, next }
  }

  test('rolls back a revision under which fewer requests meet their SLO', () => {
    const { world, before, next } = rolledOutWith({ offered: 50, met: 35 })
    expect(states(world)).toEqual([`${next.revision} failed`, `${before.revision} good`])
    expect(world.history[0]?.message).toBe('70 % of its requests met the SLO, 95 % before it; 20 % less is allowed')
    settle(world)
    expect(world.workers.map(({ revision }) => revision)).toEqual([before.revision])
  })

  test('says nothing before enough requests, within the allowed drop, or where any drop is allowed', () => {
    for (const { world, next } of [
      rolledOutWith({ offered: 19, met: 0 }),
      rolledOutWith({ offered: 50, met: 38 }),
      rolledOutWith({ offered: 50, met: 0 }, { guard: { goodputDropMax: 1 } }),
    ])
      expect(states(world)[0]).toBe(`${next.revision} current`)
  })

  test('does not count what was served before the new revision was alone', () => {
    const { world, next } = rolledOutWith({ offered: 50, met: 50 })
    world.demand = { ...noDemand, samples: [sample(-60_000, 500, 0), sample(20_000, 50, 50)] }
    world.pass(1_000)
    world.step()
    expect(states(world)[0]).toBe(`${next.revision} current`)
  })
})

describe('surge and unavailability', () => {
  test('without surge an old worker goes first, and only as many as may be missing', () => {
    const { world } = edited({ replicas: 3, rollout: { maxSurge: 0, maxUnavailable: 1 } })
    const lines: string[] = []
    for (let i = 0; i < 9; i++) {
      lines.push(said(world.step().actions).join(', ') || '-')
      const alive = world.workers.filter(({ drainAskedAt }) => drainAskedAt === null).length
      expect(alive).toBeLessThanOrEqual(3)
      expect(world.readyCount).toBeGreaterThanOrEqual(2)
      world.settle()
    }
    const start = `start ${world.desired?.revision}`
    expect(lines.map((line) => line.replace('publish-record, ', ''))).toEqual([
      'drain w0 replaced',
      start,
      'drain w1 replaced',
      start,
      'drain w2 replaced',
      start,
      '-',
      '-',
      '-',
    ])
  })

  test('with more surge the new workers come together', () => {
    const { world, after } = edited({ replicas: 3, rollout: { maxSurge: 3 } })
    expect(said(world.step().actions)).toEqual(Array.from({ length: 3 }, () => `start ${after.revision}`))
  })

  test('no old worker goes for one that cannot start', () => {
    const { world } = edited({ replicas: 2, rollout: { maxSurge: 0, maxUnavailable: 1 } })
    world.model = { kind: 'failed', message: 'no source', retryAt: null }
    expect(said(world.step().actions)).toEqual([])
    expect(world.readyCount).toBe(2)
  })
})

test('what a rollout does is found again by an operator that starts anew', () => {
  const { world, before, after } = edited()
  world.step()
  crashUntilGivenUp(world, after.revision)
  settle(world)
  // Crashes and instants are forgotten, the history and the workers are not.
  const observed = observedOf({ desired: after, history: world.history, workers: world.workers, crashes: null })
  const plan = planDeployment(observed, 0)
  expect(said(plan.actions).filter((line) => line.startsWith('start') || line.startsWith('drain'))).toEqual([])
  expect(plan.course?.target.revision).toBe(before.revision)
})
