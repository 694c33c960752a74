/** Paceline as one side of the worker bench: the real model behind router and NATS, with the settings the peers get. */
import type { Contender } from './contender.ts'
import type { EngineSettings } from './llamaServer.ts'
import { startPlatform } from './platform.ts'

/** `speculation` as in a ModelDeployment. Off unless asked for: plain decoding is compared with plain decoding. */
export async function startPaceline(
  settings: EngineSettings,
  { name = 'paceline', speculation = { method: 'off' } }: { name?: string; speculation?: object } = {},
): Promise<Contender> {
  const { slots, threads, contextTokensMax, kvCacheType, modelPath } = settings
  const platform = await startPlatform({
    name: 'bench-paceline',
    deployments: [
      {
        name: 'smol',
        modelPath,
        spec: {
          engine: { slots, threads, contextTokensMax, prefixCacheMiB: 0 },
          speculation,
          compression: { kvCache: { type: kvCacheType } },
        },
      },
    ],
  })
  return {
    target: { name, url: platform.url, model: 'smol' },
    pids: {
      router: [platform.router.pid],
      broker: [platform.nats.pid],
      worker: platform.workers.map((worker) => worker.child.pid),
    },
    stop: () => platform.stop(),
  }
}
