/** Every way of proposing that a worker with a real model has, and one that is no good: for comparisons of what comes out. */
import type { Dispatch } from '#contracts/messages.ts'
import { silentLog } from '#runtime/log.ts'
import type { Proposer } from '../../gpu-worker/proposer.ts'
import { NgramProposer } from '../../gpu-worker/core/speculation/proposers/ngramProposer.ts'
import { TrigramProposer } from '../../gpu-worker/core/speculation/proposers/trigramProposer.ts'
import { chainOf } from '../../gpu-worker/core/speculation/tokenTree.ts'
import { openDraft } from '../../gpu-worker/llama/draftProposer.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { type Answer, EngineStand } from './engineStand.ts'

export const ways = ['prompt lookup', 'tri-grams', 'a draft model', 'mostly wrong'] as const
export type Way = (typeof ways)[number]

/** What came before, backwards: now and then right, mostly wrong, and of another length for each sequence. */
const mostlyWrong: Proposer = {
  method: 'ngram',
  propose: (requests) =>
    requests.map(({ key, tokens, tokensMax }) => {
      const drafted = tokens.toReversed().slice(1, 1 + (key % (tokensMax + 1)))
      return { key, method: 'ngram', tree: chainOf(drafted), confidence: drafted.map(() => 0.5) }
    }),
  forget: () => undefined,
}

export async function proposerOf(way: Way, target: ModelRunner, draftPath: string): Promise<Proposer> {
  switch (way) {
    case 'prompt lookup':
      return new NgramProposer()
    case 'tri-grams':
      return new TrigramProposer(null)
    case 'a draft model': {
      const opened = await openDraft({ path: draftPath, target, backend: 'auto', host: process, log: silentLog })
      if (opened.kind !== 'opened') throw new Error(opened.fault)
      return opened.proposer
    }
    case 'mostly wrong':
      return mostlyWrong
    default:
      return way satisfies never
  }
}

export async function answersOf(
  way: Way | 'nobody',
  requests: readonly Partial<Dispatch>[],
  { runner, draftPath }: { readonly runner: ModelRunner; readonly draftPath: string },
): Promise<Answer[]> {
  const proposers = way === 'nobody' ? [] : [await proposerOf(way, runner, draftPath)]
  try {
    // Always as much as may be: what is compared must have drafts in it.
    await using stand = new EngineStand(runner, { proposers, speculation: { controller: 'fixed', draftTokensMax: 4 } })
    return await stand.ask(requests)
  } finally {
    for (const proposer of proposers) proposer.close?.()
  }
}
