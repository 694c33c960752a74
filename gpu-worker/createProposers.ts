/**
 * Who can propose tokens in this worker, by the files it was started with. Which of them are asked is chosen live (`speculator.ts`).
 *
 * A file that cannot be used costs its proposer and no more: the worker serves without it, and its registration says why.
 */
import { stat } from 'node:fs/promises'
import { Failure } from '#contracts/failure.ts'
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { loadAcceptanceHeads } from './acceptanceHeadFile.ts'
import { NgramProposer } from './core/speculation/proposers/ngramProposer.ts'
import { TrigramProposer } from './core/speculation/proposers/trigramProposer.ts'
import type { ProposerMethod } from './core/speculation/proposer.ts'
import { confidenceRule, headRule, type StopRule } from './core/speculation/stopping/stopRule.ts'
import { draftMemoryFault, isInMainMemory } from './draftMemory.ts'
import type { Proposer } from './proposer.ts'
import { openDraft, type OpenedDraft } from './llama/draftProposer.ts'
import type { Host } from './llama/packages.ts'
import type { ReadMemory } from './memory.ts'
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
  readonly readMemory: ReadMemory
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
  const leaveOut = (dropped: Dropped, error?: unknown): null => {
    log.error({ ...dropped, error }, 'the worker runs without a part of its speculation')
    unusable.push(dropped)
    return null
  }
  const withoutIt = (proposer: Dropped['proposer'], reason: string) => (error: unknown) => {
    if (!(error instanceof Failure)) throw error
    return leaveOut({ proposer, reason, message: error.message }, error)
  }
  const rule = await ruleOf(config).catch(withoutIt('acceptance head', 'AcceptanceUnusable'))
  const opened =
    draftPath === null
      ? null
      : await draftAt(draftPath, rule ?? confidenceRule(), { config, around }).catch(
          withoutIt('draft', 'DraftUnusable'),
        )
  const draft = opened === null ? null : usable(opened, leaveOut)
  const table =
    tablePath === null ? null : await openTable(tablePath, runner).catch(withoutIt('trigram', 'DraftUnusable'))
  return {
    proposers: [...(draft === null ? [] : [draft]), new NgramProposer(), new TrigramProposer(table)],
    // Without a table it knows what prompt lookup knows.
    reserve: table === null ? ['trigram'] : [],
    unusable,
  }
}

/** By what was learned of this pair; null: nothing was. */
async function ruleOf({ acceptancePath, draftPath, modelSha256, draftSha256 }: WorkerConfig): Promise<StopRule | null> {
  if (acceptancePath === null || draftPath === null) return null
  const heads = await loadAcceptanceHeads(acceptancePath, { target: modelSha256, draft: draftSha256 })
  return headRule(heads, { lengthMin: 0 })
}

/** Looked at before anything of the draft is read: a machine without room for it must not be brought to its end by trying. */
async function draftAt(
  path: string,
  rule: StopRule,
  { config, around }: { readonly config: WorkerConfig; readonly around: ProposerSurroundings },
): Promise<OpenedDraft> {
  const { runner, log, host, readMemory } = around
  const memory = isInMainMemory(runner.info) ? await readMemory() : null
  const weightsBytes = await bytesOf(path)
  const roomFault = (contextBytes: number | null) => draftMemoryFault(memory, { weightsBytes, contextBytes })
  const fault = roomFault(null)
  if (fault !== null) return { kind: 'no-room', fault }
  return openDraft({ path, target: runner, backend: config.engine.backend, host, log, rule, roomFault })
}

/** null: it was left out. */
function usable(opened: OpenedDraft, leaveOut: (dropped: Dropped) => null): Proposer | null {
  switch (opened.kind) {
    case 'opened':
      return opened.proposer
    case 'vocabulary-mismatch':
      return leaveOut({ proposer: 'draft', reason: 'VocabularyMismatch', message: opened.fault })
    case 'no-room':
      return leaveOut({ proposer: 'draft', reason: 'DraftMemory', message: opened.fault })
    default:
      return opened satisfies never
  }
}

/** 0 where there is no such file: whoever opens it says so. */
async function bytesOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch {
    return 0
  }
}

const openTable = (path: string, runner: ModelRunner) => loadTrigramTable(path, { tokenizer: tokenizerDigest(runner) })
