/**
 * Drafting never changes a text: on the real model, with the cache that makes rows independent of what shares the step, every way
 * of proposing gives token for token what no proposing gives. The long form is `test/bench/lossless.ts`.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { prunedDraft } from '../../gpu-worker/llama/prunedDraft.fixture.ts'
import { draftingPrompts } from './draftingPrompts.ts'
import { type Answer, openModel, textsOf } from './engineStand.ts'
import { testModel } from './modelRunnerModel.ts'
import { answersOf, type Way, ways } from './waysOfDrafting.ts'

const model = testModel()
if (model.kind === 'missing') console.warn(`drafting is not tested on a real model: ${model.reason}`)

/** Seconds on an idle machine; the model shares its CPUs with whatever else runs. */
const longMs = 600_000
const few = { maxTokens: 12 }
const kinds = {
  greedy: draftingPrompts(50, { temperature: 0 }),
  'at temperature 0.8': draftingPrompts(16, { temperature: 0.8 }),
  'with penalties': draftingPrompts(4, { ...few, temperature: 0.8, repetitionPenalty: 1.3, presencePenalty: 0.5 }),
  'with log probabilities': draftingPrompts(4, { ...few, temperature: 0.5, logprobs: 2 }),
  'two choices each': draftingPrompts(4, { ...few, temperature: 1 }).map((request) => ({ ...request, choices: 2 })),
}
type Kind = keyof typeof kinds
/** So that what is compared has drafts in it. The block-dropped model is seldom right as far as four tokens ahead. */
const acceptedMin: Readonly<Record<Way, number>> = {
  'prompt lookup': 0.2,
  'tri-grams': 0.2,
  'a draft model': 0.15,
  'mostly wrong': 0,
}
const every = Object.keys(kinds) as Kind[]

describe.skipIf(model.kind === 'missing')('a text is the same with drafts and without', () => {
  let runner: ModelRunner
  let draftPath: string
  const plain = new Map<Kind, string[]>()

  beforeAll(async () => {
    if (model.kind === 'missing') return
    draftPath = prunedDraft(model.path, join(tmpdir(), 'paceline-test-models'))
    runner = await openModel(model.path, { slots: 16, contextTokensMax: 192, reproducible: true })
    for (const kind of every) plain.set(kind, textsOf(await answersOf('nobody', kinds[kind], { runner, draftPath })))
  }, longMs)
  afterAll(() => runner?.[Symbol.asyncDispose]())

  const share = (answers: readonly Answer[]) => {
    const sum = (of: (answer: Answer) => number) => answers.reduce((total, answer) => total + of(answer), 0)
    return sum(({ usage }) => usage.acceptedTokens) / sum(({ usage }) => usage.draftTokens)
  }
  const compare = async (way: Way, kind: Kind) => {
    const answers = await answersOf(way, kinds[kind], { runner, draftPath })
    expect(textsOf(answers)).toEqual(plain.get(kind))
    return answers
  }

  test.each(ways)('%s, greedy and at temperature 0.8', { timeout: longMs }, async (way) => {
    const accepted = share(await compare(way, 'greedy'))
    expect(accepted).toBeGreaterThan(acceptedMin[way])
    expect(accepted).toBeLessThan(1)
    await compare(way, 'at temperature 0.8')
  })

  test.each(every.slice(2))('%s', { timeout: longMs }, async (kind) => {
    await compare('mostly wrong', kind)
  })
})
