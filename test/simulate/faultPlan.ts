/** Seeded faults of one run: which, when, how long. Every kind is rare enough in one run that most requests still complete. */
import type { Fault } from '#contracts/resources/modelDeployment.ts'
import type { LinkFaults } from './fakeLink.ts'
import type { Random } from './random.ts'
import type { World } from './world.ts'

export type FaultKind =
  | 'crash'
  | 'freeze'
  | 'disconnect-worker'
  | 'disconnect-router'
  | 'partition'
  | 'server-restart'
  | 'router-restart'

export interface PlannedFault {
  readonly kind: FaultKind
  readonly atMs: number
  readonly strike: (world: World) => void | Promise<void>
}

export interface FaultPlan {
  readonly network: Partial<LinkFaults>
  readonly engine: readonly Fault[]
  readonly planned: readonly PlannedFault[]
}

export const noFaults: FaultPlan = { network: {}, engine: [], planned: [] }

export function planFaults(random: Random, duringMs: number): FaultPlan {
  const counts: Record<FaultKind, number> = {
    crash: random.int(0, 2),
    freeze: random.int(0, 2),
    'disconnect-worker': random.int(0, 2),
    'disconnect-router': random.int(0, 1),
    partition: random.int(0, 1),
    'server-restart': random.chance(0.3) ? random.int(1, 3) : 0,
    'router-restart': random.chance(0.2) ? 1 : 0,
  }
  const planned = Object.entries(counts).flatMap(([kind, count]) =>
    Array.from({ length: count }, () => planOne(random, kind as FaultKind, random.next() * duringMs)),
  )
  return { network: networkFaults(random), engine: engineFaults(random), planned }
}

function planOne(random: Random, kind: FaultKind, atMs: number): PlannedFault {
  const forMs = random.pick([random.int(10, 400), random.int(400, 2_500), random.int(2_500, 6_000)])
  // Which worker is decided when it strikes: who lives then is not known now.
  const lot = random.next()
  const workerOf = (world: World) => [...world.workers.keys()][Math.floor(lot * world.workers.size)]
  const withWorker = (act: (world: World, name: string) => void) => (world: World) => {
    const name = workerOf(world)
    if (name !== undefined) act(world, name)
  }
  const known = random.chance(0.7) ? random.int(20, 300) : null
  const keepBuckets = random.chance(0.8)
  switch (kind) {
    case 'crash':
      return {
        kind,
        atMs,
        strike: withWorker((world, name) => world.crashWorker(name, { knownAfterMs: known, restartAfterMs: forMs })),
      }
    case 'freeze':
      return { kind, atMs, strike: withWorker((world, name) => world.freezeWorker(name, forMs)) }
    case 'disconnect-worker':
      return { kind, atMs, strike: withWorker((world, name) => world.disconnect(name, forMs)) }
    case 'disconnect-router':
      return { kind, atMs, strike: (world) => world.disconnect(world.router.name, forMs) }
    case 'partition':
      return { kind, atMs, strike: withWorker((world, name) => world.cutOff(name, { forMs, noticeMs: 3_000 })) }
    case 'server-restart':
      return {
        kind,
        atMs,
        strike: (world) => world.restartServer({ downMs: Math.min(forMs, 2_500), spreadMs: 1_000, keepBuckets }),
      }
    case 'router-restart':
      return { kind, atMs, strike: (world) => world.replaceRouter() }
    default:
      return kind satisfies never
  }
}

function networkFaults(random: Random): Partial<LinkFaults> {
  return {
    lossRate: random.pick([0, 0, 0.005, 0.03]),
    duplicateRate: random.pick([0, 0, 0.02]),
    delayMs: random.pick([
      { min: 0.1, max: 0.3 },
      { min: 0.1, max: 5 },
      { min: 1, max: 60 },
    ]),
  }
}

function engineFaults(random: Random): Fault[] {
  const all: Fault[] = [
    { kind: 'stall', probability: 0.001, amount: 3_500 },
    { kind: 'slow', probability: 0.02, amount: 5 },
    { kind: 'refuse', probability: 0.05, amount: 1 },
    { kind: 'garbage', probability: 0.003, amount: 1 },
    { kind: 'crash', probability: 0.0005, amount: 1 },
  ]
  return all.filter(() => random.chance(0.2))
}
