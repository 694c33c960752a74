/** What must hold of the planner whatever happens: seeded sequences of edits, crashes and waits against a small world. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Plan, planDeployment } from './plan.ts'
import { desiredFor, ModelWorld, said, specOf } from './testing.ts'

type Event =
  | { kind: 'edit'; context: number; replicas: number }
  | { kind: 'crash'; index: number }
  | { kind: 'ready'; index: number }
  | { kind: 'settle' }
  | { kind: 'pass'; ms: number }
  | { kind: 'delete' }

const edit = fc.record({
  kind: fc.constant('edit' as const),
  context: fc.integer({ min: 1, max: 3 }).map((n) => n * 1024),
  replicas: fc.integer({ min: 0, max: 4 }),
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
      expect(finish(world).next).toEqual({ kind: 'done' })
      const wanted = world.desired
      expect(world.workers).toHaveLength(wanted?.spec.replicas ?? 0)
      expect(world.workers.every(({ revision }) => revision === wanted?.revision)).toBe(true)
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
        const served = world.readyCount > 0
        happen(world, event)
        world.step()
        if (served && world.desired?.spec.replicas !== 0) expect(world.readyCount).toBeGreaterThan(0)
      }
    }),
  )
})
