/**
 * Who can propose tokens in this worker, by the files it was started with. Which of them are asked is chosen live (`speculator.ts`).
 *
 * A file that cannot be used costs its proposer and no more: the worker serves without it, and its registration says why.
 */
import { Failure } from '#contracts/failure.ts'
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import type { Log } from '#runtime/log.ts'
import { NgramProposer } from './core/speculation/proposers/ngramProposer.ts'
import { TrigramProposer } from './core/speculation/proposers/trigramProposer.ts'
import type { Proposer, ProposerMethod } from './core/speculation/proposer.ts'
import type { ModelRunner } from './modelRunner.ts'
import { createSimulatedProposer } from './simulated/proposer.ts'
import type { Dropped } from './speculator.ts'
import { loadTrigramTable, tokenizerDigest } from './trigramTableFile.ts'

export interface Proposers {
  readonly proposers: readonly Proposer[]
  /** Of these, the ones that are asked only where `speculation.method` names them. */
  readonly reserve: readonly ProposerMethod[]
  readonly unusable: readonly Dropped[]
}

export interface ProposerSurroundings {
  readonly runner: ModelRunner
  readonly log: Log
}

export async function createProposers(config: WorkerConfig, around: ProposerSurroundings): Promise<Proposers> {
  switch (config.engine.kind) {
    case 'simulated':
      return simulatedProposers(config)
    case 'llamacpp':
      return proposersOf(config, around)
    default:
      return config.engine.kind satisfies never
  }
}

/** What the simulated engine writes repeats nothing, so looking things up is for whoever asks for it. */
export function simulatedProposers({ engine: { simulated } }: WorkerConfig): Proposers {
  const draft = simulated === undefined || simulated.draftTokens === 0 ? [] : [createSimulatedProposer(simulated)]
  const lookups = [new NgramProposer(), new TrigramProposer(null)]
  return { proposers: [...draft, ...lookups], reserve: ['ngram', 'trigram'], unusable: [] }
}

async function proposersOf({ tablePath }: WorkerConfig, { runner, log }: ProposerSurroundings): Promise<Proposers> {
  const unusable: Dropped[] = []
  const withoutIt = (proposer: ProposerMethod) => (error: unknown) => {
    if (!(error instanceof Failure)) throw error
    log.error({ error, proposer }, 'the worker runs without one of its proposers')
    unusable.push({ proposer, reason: 'DraftUnusable', message: error.message })
    return null
  }
  const table = tablePath === null ? null : await openTable(tablePath, runner).catch(withoutIt('trigram'))
  return {
    proposers: [new NgramProposer(), new TrigramProposer(table)],
    // Without a table it knows what prompt lookup knows.
    reserve: table === null ? ['trigram'] : [],
    unusable,
  }
}

const openTable = (path: string, runner: ModelRunner) => loadTrigramTable(path, { tokenizer: tokenizerDigest(runner) })
