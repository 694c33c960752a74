/**
 * An escalated request brings the smaller model's answer along, and the larger model drafts from it: on the real model, with the cache
 * that makes rows independent of what shares the step, the text is what it would be without, and the steps are fewer.
 */
import { expect, test } from 'vitest'
import { NgramProposer } from '../../gpu-worker/core/speculation/proposers/ngramProposer.ts'
import { draftingPrompts } from './draftingPrompts.ts'
import { type Answer, EngineStand, openModel, textsOf } from './engineStand.ts'
import { testModel } from './modelRunnerModel.ts'

const model = testModel()
if (model.kind === 'missing') console.warn(`hints are not tested on a real model: ${model.reason}`)
/** Seconds on an idle machine; the model shares its CPUs with whatever else runs. */
const longMs = 600_000

/** Each step gives one token and those of its draft that were accepted. */
const stepsOf = (answers: readonly Answer[]) =>
  answers.reduce((sum, { usage }) => sum + usage.completionTokens - usage.acceptedTokens, 0)

test.skipIf(model.kind === 'missing')(
  'an answer whose hint agrees by half takes at most 0.8 of the steps, and is the same, greedy or not',
  { timeout: longMs },
  async () => {
    if (model.kind === 'missing') return
    await using runner = await openModel(model.path, { slots: 4, contextTokensMax: 192, reproducible: true })
    const speculation = { method: 'ngram', controller: 'fixed', draftTokensMax: 8 } as const
    await using stand = new EngineStand(runner, { proposers: [new NgramProposer()], speculation })
    const maxTokens = 16
    const requests = [0, 0.8].flatMap((temperature) => draftingPrompts(4, { temperature, maxTokens }))
    const fresh = await stand.ask(requests)
    const texts = fresh.map(({ choices }) => choices[0]?.text ?? '')
    // The first half is what the other model said too; behind it it says what belongs to another question.
    const hinted = requests.map((request, i) => {
      const [own = '', other = ''] = [texts[i], texts[(i + 1) % texts.length]]
      return { ...request, hint: own.slice(0, own.length / 2) + other.slice(other.length / 2) }
    })
    const answers = await stand.ask(hinted)
    expect(textsOf(answers)).toEqual(textsOf(fresh))
    expect(stepsOf(answers)).toBeLessThanOrEqual(0.8 * stepsOf(fresh))
  },
)
