/** Paceline as one side of the worker bench: the real model behind router and NATS, with the settings the peers get. */
import { setTimeout as wait } from 'node:timers/promises'
import * as z from 'zod'
import { untilReady } from './child.ts'
import type { Contender } from './contender.ts'
import type { EngineSettings } from './llamaServer.ts'
import { startPlatform } from './platform.ts'
import { cpuMsOf } from './processes.ts'

export interface PacelineContender extends Contender {
  /**
   * Waits until the worker has measured its step times, or found them measured. A worker measures while nobody asks it for anything: that
   * must be over before another side is started. False where it could not.
   */
  untilCurveIsKnown(): Promise<boolean>
}

const curveWaitMsMax = 60_000
/** Longer than a worker rests before it measures. */
const restMs = 500
const Status = z.object({ costCurve: z.object({ origin: z.string() }) })

/** `speculation` as in a ModelDeployment. Off unless asked for: plain decoding is compared with plain decoding. */
export async function startPaceline(
  settings: EngineSettings,
  { name = 'paceline', speculation = { method: 'off' } }: { name?: string; speculation?: object } = {},
): Promise<PacelineContender> {
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
    untilCurveIsKnown: async () => {
      for (const { child, metricsUrl } of platform.workers) {
        const isKnown = async () => {
          const before = cpuMsOf(child.pid)
          await wait(restMs)
          if (cpuMsOf(child.pid) - before > 0.1 * restMs) return false
          const status = Status.parse(await (await fetch(`${metricsUrl}/status`)).json())
          return status.costCurve.origin !== 'prior'
        }
        try {
          await untilReady(child, isKnown, curveWaitMsMax)
        } catch {
          return false
        }
      }
      return true
    },
  }
}
