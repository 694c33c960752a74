/**
 * One fault at a time, struck where it hurts, and how soon it must be over. The seeded runs of `system.test.ts` say that nothing
 * is lost; these say that it does not take long.
 */
import { beforeEach, describe, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import type { StepFrame } from '#contracts/messages.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import type { RequestHandle } from '../../router/request.ts'
import { createRandom } from './random.ts'
import { type Ask, newTold, routed, sinkOf, type Told } from './workload.ts'
import { World } from './world.ts'

const stepMs = 10
let count = 0

interface Asked {
  readonly told: Told
  readonly handle: RequestHandle
  /** When the client got text. */
  readonly textAt: number[]
}

function ask(world: World, how: Partial<Ask> & { tokens?: number } = {}): Asked {
  const id = `scenario-${count++}`
  const now = world.clock.now()
  const full: Ask = {
    shape: {
      name: 'one',
      work: { kind: 'completion', prompt: 'the harbour at night', echo: false },
      choices: 1,
      sampling: { ...samplingDefaults, seed: 7, temperature: 0, maxTokens: how.tokens ?? 100, ignoreEos: true },
    },
    atMs: 0,
    streaming: true,
    tenant: 'alpha',
    priority: 0,
    deadlineMs: 10_000,
    leavesAfterMs: null,
    ...how,
  }
  const told = newTold(full, { id, router: world.router.name, now })
  const textAt: number[] = []
  const sink = sinkOf(told, () => world.clock.now())
  const delta: typeof sink.delta = (first, choices) => {
    textAt.push(world.clock.now())
    sink.delta(first, choices)
  }
  const request = routed(full, { id, model: world.model, now })
  return { told, handle: world.router.router.submit(request, { ...sink, delta }), textAt }
}

const hasEnded = ({ told }: Asked) => told.ends.length > 0
const endOf = ({ told }: Asked) => told.ends[0]?.outcome.kind
const gapMax = (textAt: readonly number[]) => Math.max(...textAt.slice(1).map((at, i) => at - (textAt[i] ?? at)))

async function start(workers: number): Promise<World> {
  const world = await World.start({
    random: createRandom(1),
    workers,
    slots: 4,
    queueRequestsMax: 100,
    network: { delayMs: { min: 0.1, max: 0.3 } },
    engineFaults: [],
  })
  // Shortly after it has (re)connected, a router takes a missing registration for a late one.
  await world.clock.advance(limits.worker.goneAfterMs)
  return world
}

async function until(world: World, condition: () => boolean, ms: number): Promise<void> {
  expect(await world.clock.runUntil(condition, ms), `${String(condition)} within ${ms} ms`).toBe(true)
}

const frameOf = (payload: Uint8Array) => JSON.parse(new TextDecoder().decode(payload)) as StepFrame
const busySlots = (world: World) =>
  [...world.workers.keys()].reduce((sum, name) => sum + (world.witness.reports.get(name)?.slots.busy ?? 0), 0)

describe('one worker', () => {
  let world: World
  beforeEach(async () => {
    world = await start(1)
  })

  test('without faults text comes every step', async () => {
    const asked = ask(world)
    await until(world, () => hasEnded(asked), 3_000)
    expect(endOf(asked)).toBe('completed')
    expect(gapMax(asked.textAt)).toBeLessThan(5 * stepMs)
  })

  test.each([1, 5, 20])(
    'a lost frame (number %i) is asked for at the next one, not after a second of silence',
    async (n) => {
      let frames = 0
      world.network.lose((_, subject) => subject.endsWith('.stream') && ++frames === n)
      const asked = ask(world)
      await until(world, () => hasEnded(asked), 3_000)
      expect(endOf(asked)).toBe('completed')
      expect(gapMax(asked.textAt)).toBeLessThan(8 * stepMs)
    },
  )

  test('a lost last frame is asked for after the silence bound', async () => {
    const isFinal = (payload: Uint8Array) => frameOf(payload).events.some(({ kind }) => kind === 'final')
    let lost = 0
    world.network.lose((_, subject, payload) => subject.endsWith('.stream') && isFinal(payload) && lost++ === 0)
    const asked = ask(world)
    await until(world, () => lost > 0, 3_000)
    await until(world, () => hasEnded(asked), limits.worker.resendAfterMs + 200)
    expect(endOf(asked)).toBe('completed')
  })

  test('a lost answer to a re-send is asked for again at the next frames', async () => {
    const lostFrames = new Set([10, 11, 12])
    let frames = 0
    world.network.lose((_, subject) => subject.endsWith('.stream') && lostFrames.has(++frames))
    const asked = ask(world)
    await until(world, () => hasEnded(asked), 3_000)
    expect(gapMax(asked.textAt)).toBeLessThan(400)
  })

  test('a lost dispatch is sent again after the accept bound and runs once', async () => {
    let lost = 0
    world.network.lose((_, subject) => subject.endsWith('.dispatch') && lost++ === 0)
    const asked = ask(world)
    await until(world, () => hasEnded(asked), limits.worker.acceptTimeoutMs + 2_000)
    expect(endOf(asked)).toBe('completed')
    expect(world.witness.dispatches.size).toBe(1)
  })

  test('a dispatch that arrives twice runs once', async () => {
    world.network.faults.duplicateRate = 1
    const asked = ask(world)
    await until(world, () => hasEnded(asked), 3_000)
    await world.clock.advance(100)
    expect(endOf(asked)).toBe('completed')
    expect(busySlots(world)).toBe(0)
    expect(world.witness.mistakes).toEqual([])
  })

  test('a client that leaves gets its capacity back within a step and 100 ms', async () => {
    const asked = ask(world)
    await until(world, () => asked.textAt.length > 5, 1_000)
    expect(busySlots(world)).toBe(1)
    asked.handle.cancel()
    await until(world, () => busySlots(world) === 0, stepMs + 100)
    await until(world, () => world.router.router.attempts === 0, 100)
  })

  test('a lost cancel is repeated until the worker has ended', async () => {
    let lost = 0
    world.network.lose((_, subject) => subject.endsWith('.cancel') && lost++ === 0)
    const asked = ask(world, { tokens: 900 })
    await until(world, () => asked.textAt.length > 5, 1_000)
    asked.handle.cancel()
    const isOver = () => world.router.router.attempts === 0 && busySlots(world) === 0
    await until(world, isOver, limits.worker.resendAfterMs + 200)
  })

  test('while NATS is away new requests are refused at once; a running stream goes on as soon as it is back', async () => {
    const asked = ask(world)
    await until(world, () => asked.textAt.length > 20, 1_000)
    world.restartServer({ downMs: 400, spreadMs: 0, keepBuckets: true })
    await world.clock.advance(50)
    const refused = ask(world)
    expect(refused.told.ends[0]?.outcome).toMatchObject({
      kind: 'failed',
      failure: { code: 'bus-unavailable', retry: { kind: 'after' } },
    })
    const seen = asked.textAt.length
    await world.clock.advance(350)
    expect(asked.textAt.length).toBe(seen)
    await until(world, () => asked.textAt.length > seen, 60)
    await until(world, () => hasEnded(asked), 2_000)
    expect(endOf(asked)).toBe('completed')
  })

  test('a stream whose end was said while the router was away ends as soon as it is back', async () => {
    const asked = ask(world, { tokens: 40 })
    await until(world, () => asked.textAt.length > 20, 1_000)
    world.disconnect(world.router.name, 800)
    await world.clock.advance(790)
    expect(hasEnded(asked)).toBe(false)
    await until(world, () => hasEnded(asked), 60)
    expect(endOf(asked)).toBe('completed')
  })

  test.each([
    ['the worker', 'worker-1', 'router-2'],
    ['the router', 'router-2', 'worker-1'],
  ])('where %s is back 600 ms later than the other side, streams go on soon after', async (_, late) => {
    const asked = ask(world, { tokens: 400 })
    await until(world, () => asked.textAt.length > 20, 1_000)
    for (const name of [...world.workers.keys(), world.router.name])
      world.disconnect(name, name.startsWith(late.split('-')[0] ?? '') ? 1_000 : 400)
    await world.clock.advance(1_000)
    const seen = asked.textAt.length
    await until(world, () => asked.textAt.length > seen, 300)
    await until(world, () => hasEnded(asked), 3_000)
    expect(endOf(asked)).toBe('completed')
  })
})

describe('two workers', () => {
  let world: World
  beforeEach(async () => {
    world = await start(2)
  })

  /** The worker that was sent the request last asked. */
  const workerOf = (asked: Asked) =>
    [...world.witness.dispatches.values()].findLast(({ requestId }) => requestId === asked.told.id)?.worker ?? ''

  test('a known death: a request without text yet runs elsewhere at once, a stream ends with a clear error', async () => {
    const stream = ask(world)
    await until(world, () => stream.textAt.length > 10, 1_000)
    const victim = workerOf(stream)
    const whole = Array.from({ length: 6 }, () => ask(world, { streaming: false })).find(
      (each) => workerOf(each) === victim,
    )
    if (whole === undefined) throw new Error('no request went to the same worker')
    await world.clock.advance(100)
    world.crashWorker(victim, { knownAfterMs: 20, restartAfterMs: 5_000 })
    await until(world, () => hasEnded(stream), 100)
    expect(stream.told.ends[0]?.outcome).toMatchObject({ kind: 'failed', failure: { code: 'worker-lost' } })
    await until(world, () => hasEnded(whole), 2_500)
    expect(endOf(whole)).toBe('completed')
  })

  test('a silent death is found after the silence bound', async () => {
    const stream = ask(world)
    await until(world, () => stream.textAt.length > 10, 1_000)
    world.crashWorker(workerOf(stream), { knownAfterMs: null, restartAfterMs: 20_000 })
    await until(world, () => hasEnded(stream), limits.worker.goneAfterMs + 200)
    expect(stream.told.ends[0]?.outcome).toMatchObject({ kind: 'failed', failure: { code: 'worker-lost' } })
  })

  test('a worker that stands still for less than the silence bound loses nothing', async () => {
    const stream = ask(world, { tokens: 200 })
    await until(world, () => stream.textAt.length > 10, 1_000)
    world.freezeWorker(workerOf(stream), 2_000)
    await until(world, () => hasEnded(stream), 4_000)
    expect(endOf(stream)).toBe('completed')
  })

  test('a worker that stands still longer and comes back is told to stop what was given up', async () => {
    const stream = ask(world, { tokens: 900 })
    await until(world, () => stream.textAt.length > 10, 1_000)
    world.freezeWorker(workerOf(stream), 4_000)
    await until(world, () => hasEnded(stream), limits.worker.goneAfterMs + 200)
    await world.clock.advance(3_000)
    expect(busySlots(world)).toBe(0)
    const after = ask(world)
    await until(world, () => hasEnded(after), 3_000)
    expect(endOf(after)).toBe('completed')
  })
})
