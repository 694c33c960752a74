/**
 * An escalated request brings the smaller model's answer along, and the larger model drafts from it: on the real model, with the cache
 * that makes rows independent of what shares the step, the text is what it would be without, and the steps are fewer.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Dispatch } from '#contracts/messages.ts'
import { NgramProposer } from '../../gpu-worker/core/speculation/proposers/ngramProposer.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { draftingPrompts } from './draftingPrompts.ts'
import { type Answer, EngineStand, openModel, textsOf } from './engineStand.ts'
import { testModel } from './modelRunnerModel.ts'

const model = testModel()
if (model.kind === 'missing') console.warn(`hints are not tested on a real model: ${model.reason}`)
const longMs = 600_000

/** Each step gives one token and those of its draft that were accepted. */
const stepsOf = (answers: readonly Answer[]) =>
  answers.reduce((sum, { usage }) => sum + usage.completionTokens - usage.acceptedTokens, 0)

describe.skipIf(model.kind === 'missing')('an answer with another one as its hint', () => {
  let runner: ModelRunner
  beforeAll(async () => {
    if (model.kind === 'found')
      runner = await openModel(model.path, { slots: 4, contextTokensMax: 256, reproducible: true })
  }, longMs)
  afterAll(() => runner?.[Symbol.asyncDispose]())

  const answersTo = async (requests: readonly Partial<Dispatch>[]) => {
    const speculation = { method: 'ngram', controller: 'fixed', draftTokensMax: 8 } as const
    await using stand = new EngineStand(runner, { proposers: [new NgramProposer()], speculation })
    return await stand.ask(requests)
  }

  test.each([0, 0.8])(
    'is the same at temperature %d, and takes at most 0.8 of the steps',
    { timeout: longMs },
    async (temperature) => {
      const requests = draftingPrompts(6, { temperature, maxTokens: 32 })
      const fresh = await answersTo(requests)
      const texts = fresh.map(({ choices }) => choices[0]?.text ?? '')
      // The first half is another model's too, the second is what it said to another question.
      const hinted = requests.map((request, i) => {
        const [own = '', other = ''] = [texts[i], texts[(i + 1) % texts.length]]
        return { ...request, hint: own.slice(0, own.length / 2) + other.slice(other.length / 2) }
      })
      const answers = await answersTo(hinted)
      expect(textsOf(answers)).toEqual(textsOf(fresh))
      expect(stepsOf(answers)).toBeLessThanOrEqual(0.8 * stepsOf(fresh))
    },
  )
})
