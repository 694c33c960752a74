/** The test model in this process, for measurements of what happens beside the engine. */
import { systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { createLlamaRunner } from '../../../gpu-worker/llama/llamaRunner.ts'
import type { ModelRunner } from '../../../gpu-worker/modelRunner.ts'
import { modelPath } from './model.ts'

export function openModel(shape: { slots: number; contextTokensMax: number; threads: number }): Promise<ModelRunner> {
  return createLlamaRunner({
    ...shape,
    modelPath: modelPath(),
    kvCacheType: 'f16',
    kvLayout: 'split',
    backend: 'auto',
    embeddings: false,
    host: { platform: process.platform, arch: process.arch },
    clock: systemClock,
    log: silentLog,
  })
}
