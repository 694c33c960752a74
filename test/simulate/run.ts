/**
 * One run of the world: requests come, faults strike, everything heals, and then what must hold is checked.
 */
import { limits } from '#contracts/limits.ts'
import { RequestId } from '#contracts/ids.ts'
import { type FaultPlan, noFaults } from './faultPlan.ts'
import type { Random } from './random.ts'
import {
  type Ask,
  newTold,
  type Reference,
  type References,
  routed,
  type Shape,
  sinkOf,
  type Told,
} from './workload.ts'
import { deploymentName } from './workload.ts'
import { tokensTold } from './witness.ts'
import { World, type WorldOptions } from './world.ts'

export interface RunOptions {
  readonly random: Random
  readonly asks: readonly Ask[]
  readonly faults: FaultPlan
  readonly references: References
  readonly world?: Partial<Pick<WorldOptions, 'workers' | 'slots' | 'queueRequestsMax'>>
}

export interface RunResult {
  readonly told: readonly Told[]
  readonly world: World
  readonly mistakes: readonly string[]
}

/** After its last fault the system may take this long to end everything: to find a silent worker gone, and to run again. */
const endsWithinMs = 60_000
/** After that, at the latest, nothing is remembered of what was given up and never confirmed. */
const quietMs = limits.router.abandonedMsMax + 15_000

export async function run(options: RunOptions): Promise<RunResult> {
  const world = await World.start({
    workers: 3,
    slots: 4,
    queueRequestsMax: 12,
    ...options.world,
    random: options.random.fork('world'),
    network: options.faults.network,
    engineFaults: options.faults.engine,
  })
  const idle = world.idleState()
  const told: Told[] = []
  const mistakes: string[] = []
  schedule(world, options, { told, mistakes })
  const lastMs = Math.max(0, ...options.asks.map(({ atMs }) => atMs), ...options.faults.planned.map(({ atMs }) => atMs))
  await world.clock.advance(lastMs + 1)
  world.heal()
  const allEnded = () => told.length === options.asks.length && told.every(({ ends }) => ends.length > 0)
  await world.clock.runUntil(allEnded, endsWithinMs)
  await world.clock.runUntil(() => world.leftovers(idle).length === 0, quietMs)
  mistakes.push(
    ...told.flatMap((each) => wrongWith(each, options.references)),
    ...world.witness.mistakes,
    ...world.bugs,
  )
  mistakes.push(...wrongTokens(world, told, options.references))
  mistakes.push(...world.witness.doubleCompletions((worker) => world.troubled.has(worker)))
  mistakes.push(...world.leftovers(idle), ...(await world.stop()))
  return { told, world, mistakes }
}

function schedule(world: World, { asks, faults }: RunOptions, into: { told: Told[]; mistakes: string[] }): void {
  const { clock } = world
  for (const [index, ask] of asks.entries()) clock.after(ask.atMs, () => void into.told.push(submit(world, ask, index)))
  for (const { atMs, strike } of faults.planned)
    clock.after(atMs, () => {
      // What a router had when it was killed ends for its clients with a broken connection.
      const before = world.router
      const struck = strike(world)
      if (world.router !== before) breakConnections(into.told, before.name, clock.now())
      void struck
    })
  clock.every(25, () => {
    const queued = world.router.router.queued(world.model)
    // What was sent and comes back (a lost worker) is taken although the queue is full: it was admitted before.
    if (queued > world.model.queue.requestsMax + world.slotsTotal)
      into.mistakes.push(`${queued} requests are queued at ${clock.now()}`)
  })
}

/** What the HTTP shell does with a request. */
function submit(world: World, ask: Ask, index: number): Told {
  const { router, name } = world.router
  const now = world.clock.now()
  const id = `request-${index}`
  const told = newTold(ask, { id: RequestId.parse(id), router: name, now })
  const view = router.model(deploymentName)
  if (view === undefined) {
    told.ends.push({ outcome: { kind: 'broken' }, at: now })
    return told
  }
  const handle = router.submit(
    routed(ask, { id, model: view.record, now }),
    sinkOf(told, () => world.clock.now()),
  )
  if (ask.leavesAfterMs !== null)
    world.clock.after(ask.leavesAfterMs, () => {
      if (told.ends.length === 0) handle.cancel()
    })
  return told
}

function breakConnections(told: readonly Told[], router: string, at: number): void {
  for (const each of told)
    if (each.router === router && each.ends.length === 0) each.ends.push({ outcome: { kind: 'broken' }, at })
}

function wrongWith(told: Told, references: References): string[] {
  const wrong = told.mistakes.map((mistake) => `${told.id}: ${mistake}`)
  const [end, ...more] = told.ends
  if (end === undefined) return [...wrong, `${told.id} (${told.ask.shape.name}) never ended`]
  if (more.length > 0) wrong.push(`${told.id} ended ${told.ends.length} times`)
  const reference = references.get(told.ask.shape)
  if (reference === undefined) return wrong
  return [...wrong, ...wrongText(told, end.outcome, reference)]
}

/** A completed answer is the reference; anything shorter that a client got is the beginning of it. */
function wrongText(told: Told, outcome: Told['ends'][number]['outcome'], reference: Reference): string[] {
  const isComplete = outcome.kind === 'completed'
  const wrong: string[] = []
  for (const [index, wanted] of reference.texts.entries()) {
    const text = told.texts[index] ?? ''
    if (isComplete ? text !== wanted : !wanted.startsWith(text))
      wrong.push(`${told.id} choice ${index}: ${JSON.stringify(text)} instead of ${JSON.stringify(wanted)}`)
  }
  const wantedTokens = reference.tokens.reduce((sum, tokens) => sum + tokens.length, 0)
  if (isComplete && outcome.usage.completionTokens !== wantedTokens)
    wrong.push(`${told.id}: ${outcome.usage.completionTokens} tokens in its usage instead of ${wantedTokens}`)
  return wrong
}

/** Whatever a worker says of a dispatch is the beginning of the reference's tokens, and all of them where it completed. */
function wrongTokens(world: World, told: readonly Told[], references: References): string[] {
  const shapes = new Map(told.map(({ id, ask }) => [id, ask.shape]))
  return [...world.witness.dispatches].flatMap(([id, seen]) => {
    const shape = shapes.get(seen.requestId)
    const reference = shape === undefined ? undefined : references.get(shape)
    if (shape === undefined || reference === undefined) return []
    const first = seen.seed - shape.sampling.seed
    return tokensTold(seen).flatMap((tokens, index) => {
      const wanted = reference.tokens[first + index] ?? []
      const given = seen.completed ? wanted : wanted.slice(0, tokens.length)
      return tokens.join() === given.join()
        ? []
        : [`${id} choice ${index}: tokens ${tokens.join()}, not ${given.join()}`]
    })
  })
}

/** What each shape answers alone and without any fault. */
export async function referencesOf(shapes: readonly Shape[], random: Random): Promise<References> {
  const asks = shapes.map((shape, i) => ({
    shape,
    atMs: i * 5_000,
    streaming: true,
    tenant: 'alpha',
    priority: 0,
    deadlineMs: 10_000,
    leavesAfterMs: null,
  }))
  const { told, world, mistakes } = await run({
    random,
    asks,
    faults: noFaults,
    references: new Map(),
    world: { workers: 1 },
  })
  const failed = told.filter(({ ends }) => ends[0]?.outcome.kind !== 'completed')
  if (mistakes.length > 0 || failed.length > 0)
    throw new Error(
      `the fault-free run failed: ${mistakes.join('; ')} ${JSON.stringify(failed.map(({ ends }) => ends))}`,
    )
  const tokens = new Map([...world.witness.dispatches.values()].map((seen) => [seen.requestId, tokensTold(seen)]))
  return new Map(told.map(({ id, ask, texts }) => [ask.shape, { texts, tokens: tokens.get(id) ?? [] }]))
}
