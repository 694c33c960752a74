/** Which engine the configuration asks for, opened. */
import { Failure } from '#contracts/failure.ts'
import { SimulatedSettings } from '#contracts/resources/modelDeployment.ts'
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { createLlamaRunner } from './llama/llamaRunner.ts'
import type { ModelRunner } from './modelRunner.ts'
import { createSimulatedRunner } from './simulated/simulatedRunner.ts'

export interface RunnerSurroundings {
  readonly clock: Clock
  readonly log: Log
  readonly host: { readonly platform: string; readonly arch: string }
  readonly cpus: number
  /** What a crash fault of the simulated engine does. */
  readonly crash: () => void
}

export function createRunner(config: WorkerConfig, surroundings: RunnerSurroundings): Promise<ModelRunner> {
  const { engine } = config
  const { slots, contextTokensMax, kvLayout } = engine
  const { clock, log, host, crash } = surroundings
  switch (engine.kind) {
    case 'simulated':
      return Promise.resolve(
        createSimulatedRunner({
          ...SimulatedSettings.parse(engine.simulated ?? {}),
          slots,
          contextTokensMax,
          kvLayout,
          clock,
          crash,
        }),
      )
    case 'llamacpp': {
      if (config.modelPath === null) throw new Failure('invalid-configuration', 'engine llamacpp needs a model file')
      return createLlamaRunner({
        slots,
        contextTokensMax,
        kvLayout,
        clock,
        log,
        host,
        modelPath: config.modelPath,
        kvCacheType: config.kvCacheType === 'auto' && engine.reproducible ? 'q8_0' : config.kvCacheType,
        threads: engine.threads === 'auto' ? surroundings.cpus : engine.threads,
        backend: engine.backend,
        embeddings: engine.embeddings,
      })
    }
    default:
      return engine.kind satisfies never
  }
}
