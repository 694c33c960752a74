/** A client of the fake API server, and waiting for something to become true. */
import http from 'node:http'
import type { Clock } from '#runtime/clock.ts'
import { alwaysOpen, createClient, type KubernetesClient, type WriteGate } from '../../operator/kubernetes/client.ts'
import { createRateBound } from '../../operator/kubernetes/rateBound.ts'
import { type Access, createTransport, type Transport } from '../../operator/kubernetes/transport.ts'
import type { FakeApiServer } from './fakeApiServer.ts'
import { fastClock } from './fastClock.ts'

export interface Stand extends Disposable {
  readonly client: KubernetesClient
  readonly transport: Transport
  readonly clock: Clock
}

export function standOn(
  server: FakeApiServer,
  options: { gate?: WriteGate; clock?: Clock; random?: () => number; wrap?: (transport: Transport) => Transport } = {},
): Stand {
  const { gate = alwaysOpen, clock = fastClock(20), random = Math.random, wrap = (transport) => transport } = options
  const agent = new http.Agent({ keepAlive: true })
  const access: Access = { server: new URL(server.url), credentials: () => Promise.resolve({ headers: {}, agent }) }
  const transport = wrap(createTransport(access, clock))
  const rate = createRateBound(clock, { perSecondMax: 10_000, burstMax: 10_000 })
  return {
    client: createClient({ transport, namespace: 'test', clock, random, rate, gate }),
    transport,
    clock,
    [Symbol.dispose]() {
      transport.close()
      agent.destroy()
    },
  }
}

/** Looks again and again; throws what `explain` says after ten seconds. */
export async function eventually(condition: () => boolean, explain: () => string): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within 10 s: ${explain()}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
