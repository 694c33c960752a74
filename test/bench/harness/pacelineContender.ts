/** Paceline as one side of the worker bench: the real model behind router and NATS, with the settings the peers get. */
import type { Contender } from './contender.ts'
import type { EngineSettings } from './llamaServer.ts'
import { startPlatform } from './platform.ts'

export async function startPaceline(settings: EngineSettings): Promise<Contender> {
  const { slots, threads, contextTokensMax, kvCacheType, modelPath } = settings
  const platform = await startPlatform({
    name: 'bench-paceline',
    deployments: [
      {
        name: 'smol',
        modelPath,
        spec: {
          engine: { slots, threads, contextTokensMax, prefixCacheMiB: 0 },
          compression: { kvCache: { type: kvCacheType } },
        },
      },
    ],
  })
  return {
    target: { name: 'paceline', url: platform.url, model: 'smol' },
    pids: {
      router: [platform.router.pid],
      broker: [platform.nats.pid],
      worker: platform.workers.map((worker) => worker.child.pid),
    },
    stop: () => platform.stop(),
  }
}
