/** What must hold of the planner whatever happens: seeded sequences of edits, crashes and waits against a small world. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { type Plan, planDeployment } from './plan.ts'
import { desiredFor, ModelWorld, said, specOf } from './testing.ts'

type Event =
  | { kind: 'edit'; context: number; replicas: number; rollout: { maxSurge: number; maxUnavailable: number } }
  | { kind: 'crash'; index: number }
  | { kind: 'ready'; index: number }
  | { kind: 'settle' }
  | { kind: 'pass'; ms: number }
  | { kind: 'delete' }

const rollout = fc
  .record({ maxSurge: fc.integer({ min: 0, max: 3 }), maxUnavailable: fc.integer({ min: 0, max: 3 }) })
  .filter(({ maxSurge, maxUnavailable }) => maxSurge + maxUnavailable > 0)
const edit = fc.record({
  kind: fc.constant('edit' as const),
  context: fc.integer({ min: 1, max: 3 }).map((n) => n * 1024),
  replicas: fc.integer({ min: 0, max: 4 }),
  rollout,
})
const index = fc.integer({ min: 0, max: 4 })
const calm = fc.oneof(
  edit,
  fc.record({ kind: fc.constant('ready' as const), index }),
  fc.constant({ kind: 'settle' as const }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 40_000 }) }),
)
const wild = fc.oneof(
  { weight: 8, arbitrary: calm },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('crash' as const), index }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'delete' as const }) },
)

function happen(world: ModelWorld, event: Event): void {
  switch (event.kind) {
    case 'edit':
      world.desired = desiredFor(specOf(event))
      world.forgotten = false
      return
    case 'crash':
      return world.crash(event.index)
    case 'ready':
      return world.becomeReady(event.index)
    case 'settle':
      return world.settle()
    case 'pass':
      return world.pass(event.ms)
    case 'delete':
      world.desired = null
      return
    default:
      event satisfies never
  }
}

/** Lets everything go well until nothing is left to do. */
function finish(world: ModelWorld): Plan {
  let plan = world.step()
  for (let i = 0; i < 60 && plan.next.kind !== 'done'; i++) {
    world.pass(60_000)
    world.settle()
    plan = world.step()
  }
  return plan
}

test('whatever happened, it converges to exactly the workers that are wanted', () => {
  fc.assert(
    fc.property(fc.array(wild, { maxLength: 40 }), (events) => {
      const world = new ModelWorld(desiredFor(specOf()))
      for (const event of events) {
        happen(world, event)
        world.step()
      }
      const { next, course } = finish(world)
      const wanted = world.desired
      // Stopped, a new revision stays on trial for as long as nothing of it runs.
      expect(next).toEqual({ kind: 'done' })
      expect(world.workers).toHaveLength(wanted?.spec.replicas ?? 0)
      expect(world.workers.every(({ revision }) => revision === course?.target.revision)).toBe(true)
      if (course?.failed === null) expect(course.target.revision).toBe(wanted?.revision)
      else if (course !== null && course !== undefined) expect(course.target.state).toBe('good')
      expect(world.forgotten).toBe(wanted === null)
    }),
  )
})

test('planning again right after acting asks for nothing a second time', () => {
  fc.assert(
    fc.property(fc.array(wild, { maxLength: 40 }), (events) => {
      const world = new ModelWorld(desiredFor(specOf()))
      for (const event of events) {
        happen(world, event)
        world.step()
        // A kill's replacement may follow, and the record of what now serves; never the same action again.
        const once = said(world.step().actions)
        expect(said(planDeployment(world.observe(), world.now).actions).filter((line) => line !== 'forget')).toEqual([])
        expect(once.every((line) => /^(start|publish|drain|forget)/.test(line))).toBe(true)
      }
    }),
  )
})

test('as long as nothing crashes, a deployment that serves goes on serving through every edit that wants a worker', () => {
  fc.assert(
    fc.property(fc.array(calm, { maxLength: 60 }), (events) => {
      const world = new ModelWorld(desiredFor(specOf()))
      finish(world)
      for (const event of events) {
        const served = world.readyCount
        happen(world, event)
        world.step()
        const { replicas = 0, rollout: bounds } = world.desired?.spec ?? specOf()
        expect(world.readyCount).toBeGreaterThanOrEqual(Math.min(served, replicas - bounds.maxUnavailable))
      }
    }),
  )
})

test('never are there more workers than replicas and surge', () => {
  fc.assert(
    fc.property(fc.array(wild, { maxLength: 60 }), (events) => {
      const world = new ModelWorld(desiredFor(specOf()))
      for (const event of events) {
        happen(world, event)
        world.step()
        if (world.desired === null) continue
        const { replicas = 0, rollout: bounds } = world.desired.spec
        const alive = world.workers.filter(({ drainAskedAt }) => drainAskedAt === null).length
        expect(alive).toBeLessThanOrEqual(replicas + Math.max(bounds.maxSurge, bounds.maxUnavailable === 0 ? 1 : 0))
      }
    }),
  )
})

test('a revision that always crashes is tried a few times, costs no service beyond the bounds, and is rolled back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), rollout, (replicas, bounds) => {
      const good = desiredFor(specOf({ replicas, rollout: bounds }))
      const world = new ModelWorld(good)
      finish(world)
      const bad = desiredFor(specOf({ replicas, rollout: bounds, context: 1024 }))
      world.desired = bad
      let tries = 0
      for (let i = 0; i < 40; i++) {
        world.step()
        const index = world.workers.findIndex(({ revision }) => revision === bad.revision)
        if (index >= 0) {
          world.crash(index)
          tries += 1
        } else world.settle()
        world.pass(limits.operator.backOffMsMax)
        expect(world.readyCount).toBeGreaterThanOrEqual(replicas - bounds.maxUnavailable)
      }
      expect(tries).toBeLessThanOrEqual(limits.operator.crashLoopAfter + replicas)
      const { next, course } = finish(world)
      expect(next).toEqual({ kind: 'done' })
      expect(course?.failed?.revision).toBe(bad.revision)
      expect(world.workers.map(({ revision }) => revision)).toEqual(
        Array.from({ length: replicas }, () => good.revision),
      )
    }),
  )
})

test('while the new revision cannot take over, crashes of the old one are made good', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 10 }), (crashes) => {
      const good = desiredFor(specOf({ replicas: 3 }))
      const world = new ModelWorld(good)
      finish(world)
      world.desired = desiredFor(specOf({ replicas: 3, context: 1024 }))
      /** Only workers of the old revision become ready. */
      const advance = () => {
        world.pass(limits.operator.backOffMsMax)
        world.step()
        world.workers.forEach(({ revision }, i) => {
          if (revision === good.revision) world.becomeReady(i)
        })
      }
      for (const index of crashes) {
        world.step()
        world.crash(world.workers.findIndex(({ revision }) => revision !== good.revision))
        world.crash(index)
        advance()
      }
      for (let i = 0; i < 5; i++) advance()
      expect(world.readyCount).toBeGreaterThanOrEqual(3)
    }),
  )
})

test('a history is bounded, holds what is asked for at its head, and names each revision once', () => {
  fc.assert(
    fc.property(fc.array(wild, { maxLength: 60 }), (events) => {
      const world = new ModelWorld(desiredFor(specOf()))
      for (const event of events) {
        happen(world, event)
        world.step()
        if (world.desired === null) continue
        const revisions = world.history.map(({ revision }) => revision)
        expect(revisions[0]).toBe(world.desired.revision)
        expect(new Set(revisions).size).toBe(revisions.length)
        expect(revisions.length).toBeLessThanOrEqual(limits.operator.revisionsMax)
      }
    }),
  )
})
