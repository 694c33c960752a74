/** What the bus suite needs of a network: the fake one on its clock, or a real nats-server in real time. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Role } from '#contracts/permissions.ts'
import type { Bus } from '#runtime/bus.ts'
import { ensureBuckets } from '#runtime/natsBuckets.ts'
import { startNatsServer } from '#test/integration/support/natsServer.ts'
import { createFakeNetwork } from '#test/simulate/fakeBus.ts'
import { createFakeClock } from '#test/simulate/fakeClock.ts'
import { createRandom } from '#test/simulate/random.ts'

export interface BusStand {
  connect(role: Role): Promise<Bus>
  /** Waits until `condition` holds and fails the test when it does not within `ms`. */
  until(condition: () => boolean, ms?: number): Promise<void>
  /** Lets time pass. */
  pass(ms: number): Promise<void>
  /** The server goes away now, as killed, and is back after a while. */
  restart(options: { keepBuckets: boolean }): Promise<void>
  dispose(): Promise<void>
}

const untilMs = 8_000
const downMs = 300

export function createFakeStand(): Promise<BusStand> {
  const clock = createFakeClock()
  const network = createFakeNetwork({ clock, random: createRandom(1), faults: { delayMs: { min: 0.1, max: 2 } } })
  let clients = 0
  return Promise.resolve({
    connect: (role) => Promise.resolve(network.connect(`${role}-${clients++}`)),
    async until(condition, ms = untilMs) {
      if (!(await clock.runUntil(condition, ms))) throw new Error(`not within ${ms} ms: ${String(condition)}`)
    },
    pass: (ms) => clock.advance(ms),
    async restart({ keepBuckets }) {
      network.restartServer({ downMs, spreadMs: 100, keepBuckets })
      await clock.settle()
    },
    dispose: () => Promise.resolve(),
  })
}

export async function createRealStand(): Promise<BusStand> {
  const server = await startNatsServer()
  const operator = await server.connect('operator')
  await ensureBuckets(operator)
  const buses: Bus[] = [operator]
  let starting: Promise<void> = Promise.resolve()
  return {
    async connect(role) {
      const bus = await server.connect(role)
      buses.push(bus)
      return bus
    },
    async until(condition, ms = untilMs) {
      const end = performance.now() + ms
      while (!condition()) {
        if (performance.now() > end) throw new Error(`not within ${ms} ms: ${String(condition)}`)
        await sleep(5)
      }
    },
    pass: (ms) => sleep(ms),
    async restart({ keepBuckets }) {
      await server.kill()
      starting = sleep(downMs)
        .then(() => server.start({ forgetFiles: !keepBuckets }))
        .then(() => (keepBuckets ? undefined : recreate(operator)))
    },
    async dispose() {
      await starting
      await Promise.all(buses.map((bus) => bus.close()))
      await server.stop()
    },
  }

  /** As the operator does after each reconnect. */
  async function recreate(bus: typeof operator): Promise<void> {
    while (bus.state !== 'connected') await sleep(5)
    await ensureBuckets(bus)
  }
}
