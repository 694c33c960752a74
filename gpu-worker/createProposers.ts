/** Who can propose tokens in this worker, by its configuration. Which of them are asked is chosen live (`speculation.ts`). */
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import type { Proposer } from './core/speculation/proposer.ts'
import { createSimulatedProposer } from './simulated/proposer.ts'

export function createProposers({ engine }: WorkerConfig): Proposer[] {
  switch (engine.kind) {
    case 'simulated': {
      const { simulated } = engine
      return simulated === undefined || simulated.draftTokens === 0 ? [] : [createSimulatedProposer(simulated)]
    }
    case 'llamacpp':
      return []
    default:
      return engine.kind satisfies never
  }
}
