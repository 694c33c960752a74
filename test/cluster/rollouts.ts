/** Rollouts and upgrades while clients use what changes; short forms for every run, long ones for `test/soak`. */
import { Load, type LoadResult } from './kit/load.ts'
import { pair, rolledOut, simulatedPair, unguarded } from './pairs.ts'
import { mirrorUrl, type Paceline } from './paceline.ts'

interface Rollouts {
  readonly name: string
  readonly rollouts: number
}

/** 20 requests/s and 10 streams of some six seconds: longer than a worker takes to be replaced. */
const busy = { requestsPerSecond: 20, requestTokens: 8, streams: 10, streamTokens: 300 }

/** Of two simulated workers. */
export async function rollOutUnderLoad(paceline: Paceline, { name, rollouts }: Rollouts): Promise<LoadResult> {
  const context = (index: number) => 4_096 + index * 256
  await paceline.apply(simulatedPair(name, { replicas: 2, contextTokensMax: context(0) }))
  await rolledOut(paceline, name)
  return under(new Load({ url: paceline.url, model: name, ...busy }), async () => {
    for (let index = 1; index <= rollouts; index += 1) {
      await paceline.apply(simulatedPair(name, { replicas: 2, contextTokensMax: context(index) }))
      await rolledOut(paceline, name)
    }
  })
}

/** Of the real model, which computes for as long as its streams take: half a request a second and two streams. */
export async function rollOutRealModel(paceline: Paceline, { name, rollouts }: Rollouts): Promise<LoadResult> {
  const sha256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53'
  const target = { source: `${mirrorUrl(paceline.cluster)}/smollm2.gguf`, sha256 }
  const manifest = (index: number) => {
    const engine = { contextTokensMax: 1_024 + index * 256, slots: 4, threads: 1 }
    return pair(name, { target, replicas: 1, rollout: unguarded, engine })
  }
  await paceline.apply(manifest(0))
  await rolledOut(paceline, name)
  const rates = { requestsPerSecond: 0.5, requestTokens: 8, streams: 2, streamTokens: 100 }
  return under(new Load({ url: paceline.url, model: name, ...rates }), async () => {
    for (let index = 1; index <= rollouts; index += 1) {
      await paceline.apply(manifest(index))
      await rolledOut(paceline, name)
    }
  })
}

/** `helm upgrade` that replaces every router and operator, and `helm rollback` to the release before. */
export async function upgradeUnderLoad(paceline: Paceline, name: string): Promise<LoadResult> {
  const { cluster, namespace } = paceline
  await paceline.apply(simulatedPair(name, { replicas: 2 }))
  await rolledOut(paceline, name)
  return under(new Load({ url: paceline.url, model: name, ...busy }), async () => {
    await paceline.upgrade({ operator: { logLevel: 'debug' }, router: { logLevel: 'debug' } })
    await cluster.helm('rollback', 'paceline', '--namespace', namespace, '--wait', '--timeout', '120s')
    await rolledOut(paceline, name)
  })
}

async function under(load: Load, change: () => Promise<void>): Promise<LoadResult> {
  try {
    await change()
  } catch (error) {
    const { failures } = await load.end()
    throw new Error(
      `${error instanceof Error ? error.message : String(error)}; so far: ${failures.slice(0, 5).join('; ')}`,
    )
  }
  return load.end()
}
