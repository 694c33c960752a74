/**
 * Drafting never changes a text: on the real model, with the cache that makes rows independent of what shares the step, every way
 * of proposing gives token for token what no proposing gives.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { NgramProposer } from '../../gpu-worker/core/speculation/proposers/ngramProposer.ts'
import type { Proposer } from '../../gpu-worker/core/speculation/proposer.ts'
import { chainOf } from '../../gpu-worker/core/speculation/tokenTree.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { draftingPrompts } from './draftingPrompts.ts'
import { type Answer, EngineStand, openModel, textsOf } from './engineStand.ts'
import { testModel } from './modelRunnerModel.ts'

const model = testModel()
if (model.kind === 'missing') console.warn(`drafting is not tested on a real model: ${model.reason}`)

/** Seconds on an idle machine; the model shares its CPUs with whatever else runs. */
const longMs = 600_000

/** Proposes what came before, backwards: now and then right, mostly wrong, and of another length for each sequence. */
const mostlyWrong: Proposer = {
  method: 'ngram',
  propose: (requests) =>
    requests.map(({ key, tokens, tokensMax }) => {
      const drafted = tokens.toReversed().slice(1, 1 + (key % (tokensMax + 1)))
      return { key, method: 'ngram', tree: chainOf(drafted), confidence: drafted.map(() => 0.5) }
    }),
  forget: () => undefined,
}

const proposers: [string, () => Proposer][] = [
  ['prompt lookup', () => new NgramProposer()],
  ['a proposer that is mostly wrong', () => mostlyWrong],
]

describe.skipIf(model.kind === 'missing')('a text is the same with drafts and without', () => {
  const few = { maxTokens: 12 }
  const kinds = {
    greedy: draftingPrompts(50, { temperature: 0 }),
    'at temperature 0.8': draftingPrompts(8, { temperature: 0.8 }),
    'with penalties': draftingPrompts(4, { ...few, temperature: 0.8, repetitionPenalty: 1.3, presencePenalty: 0.5 }),
    'with log probabilities': draftingPrompts(4, { ...few, temperature: 0.5, logprobs: 2 }),
    'two choices each': draftingPrompts(4, { ...few, temperature: 1 }).map((request) => ({ ...request, choices: 2 })),
  }
  let runner: ModelRunner
  const plain = new Map<string, string[]>()

  const ask = async (proposer: Proposer | null, kind: keyof typeof kinds): Promise<Answer[]> => {
    await using stand = new EngineStand(runner, { proposers: proposer === null ? [] : [proposer] })
    return await stand.ask(kinds[kind])
  }

  beforeAll(async () => {
    if (model.kind === 'missing') return
    runner = await openModel(model.path, { slots: 8, reproducible: true })
    for (const kind of Object.keys(kinds) as (keyof typeof kinds)[]) plain.set(kind, textsOf(await ask(null, kind)))
  }, longMs)
  afterAll(() => runner?.[Symbol.asyncDispose]())

  describe.each(proposers)('%s', (_name, create) => {
    test.each(Object.keys(kinds) as (keyof typeof kinds)[])(
      '%s',
      async (kind) => {
        const answers = await ask(create(), kind)
        expect(textsOf(answers)).toEqual(plain.get(kind))
        if (kind === 'greedy') expect(answers.some(({ usage }) => usage.draftTokens > 0)).toBe(true)
      },
      longMs,
    )
  })
})
