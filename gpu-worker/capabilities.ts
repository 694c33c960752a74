/** What a worker can be asked for: what its engine can, and its pair wants. */
import type { WorkerRecord } from '#contracts/records.ts'
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import type { ModelRunner } from './modelRunner.ts'

export function capabilitiesOf(options: {
  readonly runner: ModelRunner
  readonly config: WorkerConfig
  readonly canChat: boolean
}): WorkerRecord['capabilities'] {
  const { info } = options.runner
  return {
    chat: options.canChat,
    completions: true,
    embeddings: options.config.engine.embeddings && info.capabilities.embeddings,
    grammar: info.capabilities.grammar,
  }
}
