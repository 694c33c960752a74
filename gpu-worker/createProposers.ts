/**
 * Who can propose tokens in this worker, by the files it was started with. Which of them are asked is chosen live (`speculator.ts`).
 *
 * A file that cannot be used costs its proposer and no more: the worker serves without it, and its registration says why.
 */
import { Failure } from '#contracts/failure.ts'
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { NgramProposer } from './core/speculation/proposers/ngramProposer.ts'
import { TrigramProposer } from './core/speculation/proposers/trigramProposer.ts'
import type { ProposerMethod } from './core/speculation/proposer.ts'
import type { Proposer } from './proposer.ts'
import { openDraft } from './llama/draftProposer.ts'
import type { Host } from './llama/packages.ts'
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
  readonly clock: Clock
  readonly runner: ModelRunner
  readonly log: Log
  readonly host: Host
}

export async function createProposers(config: WorkerConfig, around: ProposerSurroundings): Promise<Proposers> {
  switch (config.engine.kind) {
    case 'simulated':
      return simulatedProposers(config, around)
    case 'llamacpp':
      return proposersOf(config, around)
    default:
      return config.engine.kind satisfies never
  }
}

/** What the simulated engine writes repeats nothing, so looking things up is for whoever asks for it. */
export function simulatedProposers(
  { engine: { simulated } }: WorkerConfig,
  { clock }: Pick<ProposerSurroundings, 'clock'>,
): Proposers {
  const isOff = simulated === undefined || simulated.draftTokens === 0
  const draft = isOff ? [] : [createSimulatedProposer({ ...simulated, clock })]
  const lookups = [new NgramProposer(), new TrigramProposer(null)]
  return { proposers: [...draft, ...lookups], reserve: ['ngram', 'trigram'], unusable: [] }
}

async function proposersOf(config: WorkerConfig, around: ProposerSurroundings): Promise<Proposers> {
  const { tablePath, draftPath } = config
  const { runner, log } = around
  const unusable: Dropped[] = []
  const withoutIt = (proposer: ProposerMethod) => (error: unknown) => {
    if (!(error instanceof Failure)) throw error
    log.error({ error, proposer }, 'the worker runs without one of its proposers')
    unusable.push({ proposer, reason: 'DraftUnusable', message: error.message })
    return null
  }
  const draft = draftPath === null ? null : await draftAt(draftPath, config, around).catch(withoutIt('draft'))
  if (draft?.kind === 'vocabulary-mismatch') {
    log.error({ fault: draft.fault }, 'the worker runs without its draft: their vocabularies differ')
    unusable.push({ proposer: 'draft', reason: 'VocabularyMismatch', message: draft.fault })
  }
  const table = tablePath === null ? null : await openTable(tablePath, runner).catch(withoutIt('trigram'))
  return {
    proposers: [...(draft?.kind === 'opened' ? [draft.proposer] : []), new NgramProposer(), new TrigramProposer(table)],
    // Without a table it knows what prompt lookup knows.
    reserve: table === null ? ['trigram'] : [],
    unusable,
  }
}

const draftAt = (path: string, { engine }: WorkerConfig, { runner, log, host }: ProposerSurroundings) =>
  openDraft({ path, target: runner, backend: engine.backend, host, log })

const openTable = (path: string, runner: ModelRunner) => loadTrigramTable(path, { tokenizer: tokenizerDigest(runner) })
