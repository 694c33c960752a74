/**
 * A pair that sleeps, with the real router, the real simulated worker and the operator's real autoscaler: whoever asks at zero is
 * answered, under lost messages too, and when nobody asks the last worker goes.
 */
import { describe, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { type DeploymentName, Revision, WorkerId } from '#contracts/ids.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import { silentLog } from '#runtime/log.ts'
import { desiredFor, specOf } from '../../operator/core/testing.ts'
import type { Platform, PlatformView } from '../../operator/platform.ts'
import { Reports } from '../../operator/reports.ts'
import { Scaler } from '../../operator/scaler.ts'
import { createRandom } from './random.ts'
import { type Ask, deploymentName, newTold, routed, sinkOf, type Told } from './workload.ts'
import { World } from './world.ts'

const startMs = 5_000
const idleSeconds = 30
const scaling = {
  minReplicas: 0,
  maxReplicas: 4,
  idleSeconds,
  behavior: { scaleDown: { stabilizationWindowSeconds: 60 } },
}

/** The operator's stand-in does what its platform would: workers come after `startMs`, and drain when fewer are wanted. */
class Zero {
  readonly world: World
  readonly told: Told[] = []
  #starting = 0
  readonly #scaler: Scaler

  static async start(options: { seed: number; lossRate: number }): Promise<Zero> {
    const world = await World.start({
      random: createRandom(options.seed),
      workers: 0,
      slots: 4,
      queueRequestsMax: 100,
      network: { delayMs: { min: 0.1, max: 0.3 }, lossRate: options.lossRate },
      engineFaults: [],
      scaling: { fromZero: true, holdMsMax: limits.queue.holdMsMax },
    })
    const reports = new Reports({
      clock: world.clock,
      log: silentLog,
      onChange: () => undefined,
      onHeld: (name) => zero.#scaler.look(name),
    })
    const zero = new Zero(world, reports)
    void reports.attach(world.network.connect('autoscaler'))
    await world.clock.advance(100)
    zero.#scaler.start()
    zero.#carryOut(deploymentName)
    return zero
  }

  private constructor(world: World, reports: Reports) {
    this.world = world
    const platform = { view: () => this.#view() } as Partial<Platform> as Platform
    const onChange = (name: DeploymentName) => this.#carryOut(name)
    this.#scaler = new Scaler({ platform, reports, clock: world.clock, log: silentLog, onChange })
  }

  get workers(): number {
    return this.world.workers.size + this.#starting
  }

  ask(how: Partial<Ask> = {}): Told {
    const { world } = this
    const id = `zero-${this.told.length}`
    const now = world.clock.now()
    const ask: Ask = {
      shape: {
        name: 'one',
        work: { kind: 'completion', prompt: 'the harbour at night', echo: false },
        choices: 1,
        sampling: { ...samplingDefaults, seed: 7, temperature: 0, maxTokens: 20, ignoreEos: true },
      },
      atMs: 0,
      streaming: true,
      tenant: 'alpha',
      priority: 0,
      deadlineMs: 60_000,
      leavesAfterMs: null,
      ...how,
    }
    const told = newTold(ask, { id, router: world.router.name, now })
    world.router.router.submit(
      routed(ask, { id, model: world.model, now }),
      sinkOf(told, () => world.clock.now()),
    )
    this.told.push(told)
    return told
  }

  #view(): PlatformView {
    const desired = desiredFor(specOf({ simulated: true, scaling }))
    const workers = [...this.world.workers.keys()].map((name) => ({
      worker: WorkerId.parse(name),
      revision: Revision.parse('sim-1'),
      startedAt: 0,
      drainAskedAt: null,
      pid: null,
    }))
    return { desired, workers, crashes: null, restarts: 0, status: null, history: [], problems: [] }
  }

  #carryOut(name: DeploymentName): void {
    const { replicas } = this.#scaler.wanted(name, this.#view())
    for (; this.workers < replicas; this.#starting++)
      this.world.clock.after(startMs, () => {
        this.#starting -= 1
        this.world.startWorker()
      })
    for (const [id, { worker }] of [...this.world.workers].slice(replicas)) {
      this.world.workers.delete(id)
      void worker.stop()
    }
  }
}

const endsOf = (told: readonly Told[]) => told.map(({ ends }) => ends.map(({ outcome }) => outcome.kind).join())

describe.each([0, 0.05])('with %d of the messages lost', (lossRate) => {
  test('requests sent at zero are held, and answered soon after the worker is up', async () => {
    const zero = await Zero.start({ seed: 1, lossRate })
    expect(zero.workers).toBe(0)
    const told = [zero.ask(), zero.ask({ streaming: false }), zero.ask()]
    await zero.world.clock.runUntil(() => told.every(({ ends }) => ends.length > 0), 60_000)
    expect(endsOf(told)).toEqual(['completed', 'completed', 'completed'])
    const tookMs = Math.max(...told.map(({ ends, askedAt }) => (ends[0]?.at ?? 0) - askedAt))
    if (lossRate === 0) expect(tookMs).toBeLessThan(startMs + 1_000)
    expect(told.flatMap(({ mistakes }) => mistakes)).toEqual([])
  })

  test('when nobody asks the last worker goes, and the next request wakes the pair again', async () => {
    const zero = await Zero.start({ seed: 2, lossRate })
    for (let round = 0; round < 3; round++) {
      const told = zero.ask()
      await zero.world.clock.runUntil(() => told.ends.length > 0, 60_000)
      expect(endsOf([told])).toEqual(['completed'])
      expect(zero.workers).toBeGreaterThan(0)
      await zero.world.clock.advance(idleSeconds * 1_000 + 5_000)
      expect(zero.workers).toBe(0)
    }
  })
})

test('a request whose time is shorter than the start is told what happened', async () => {
  const zero = await Zero.start({ seed: 3, lossRate: 0 })
  const told = zero.ask({ deadlineMs: 2_000 })
  await zero.world.clock.advance(3_000)
  const outcome = told.ends[0]?.outcome
  expect(outcome?.kind === 'failed' ? outcome.failure.code : outcome).toBe('no-worker')
})

test('more requests than one worker takes get more workers, and all are answered', async () => {
  const zero = await Zero.start({ seed: 4, lossRate: 0 })
  for (let i = 0; i < 60; i++) zero.ask()
  await zero.world.clock.runUntil(() => zero.told.every(({ ends }) => ends.length > 0), 60_000)
  expect(new Set(endsOf(zero.told))).toEqual(new Set(['completed']))
  expect(zero.workers).toBe(4)
})
