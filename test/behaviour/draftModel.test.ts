/**
 * A draft model beside the target: what it proposes is mostly right, it follows the target through refusals and many sequences, and
 * one that does not fit is refused with what differs.
 */
import assert from 'node:assert/strict'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { overlap } from '../../gpu-worker/core/speculation/law.ts'
import type { Proposal } from '../../gpu-worker/core/speculation/proposer.ts'
import type { Proposer } from '../../gpu-worker/proposer.ts'
import { isChain, pathOf, root } from '../../gpu-worker/core/speculation/tokenTree.ts'
import { openDraft } from '../../gpu-worker/llama/draftProposer.ts'
import { createLlamaRunner } from '../../gpu-worker/llama/llamaRunner.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { openModel } from './engineStand.ts'
import { testModel } from './modelRunnerModel.ts'

const model = testModel()
if (model.kind === 'missing') console.warn(`the draft model is not tested: ${model.reason}`)
const longMs = 600_000
const targetPath = model.kind === 'missing' ? '' : model.path

describe.skipIf(model.kind === 'missing')('a draft model', () => {
  let target: ModelRunner
  const open = async (path: string, as: ModelRunner = target): Promise<Proposer> => {
    const opened = await openDraft({ path, target: as, backend: 'auto', host: process, log: silentLog })
    if (opened.kind !== 'opened') throw new Error(opened.fault)
    return opened.proposer
  }
  beforeAll(async () => {
    target = await openModel(targetPath, { slots: 4, contextTokensMax: 1_024, reproducible: true })
  }, longMs)
  afterAll(() => target?.[Symbol.asyncDispose]())

  const propose = async (
    draft: Proposer,
    sequences: readonly (readonly [key: number, tokens: readonly number[]])[],
  ) => {
    const requests = sequences.map(([key, tokens]) => ({ key, tokens, tokensMax: 4, depthMax: 4 }))
    return (await draft.propose(requests)).map(({ tree }: Proposal) => [...tree.tokens])
  }
  const tokensOf = (text: string) => target.tokenize(text, { parseSpecial: false, addBegin: false })

  test('answers alone as among others, and after refusals as if there had been none', { timeout: longMs }, async () => {
    const draft = await open(targetPath)
    const [one, other] = [tokensOf('The capital of France is'), tokensOf('1, 2, 3, 4, 5, 6, 7, 8,')]
    const [alone] = await propose(draft, [[1, one]])
    const [counting] = await propose(draft, [[2, other]])
    expect(alone).toHaveLength(4)
    expect(
      await propose(draft, [
        [1, one],
        [2, other],
      ]),
    ).toEqual([alone, counting])
    // Everything refused, another token chosen; then everything taken, as if it had been right.
    const changed = [...one, ...tokensOf(' not')]
    const [fresh] = await propose(draft, [[3, changed]])
    expect(await propose(draft, [[1, changed]])).toEqual([fresh])
    const accepted = [...changed, ...(fresh ?? [])]
    const [continued] = await propose(draft, [[1, accepted]])
    draft.forget(1)
    draft.forget(3)
    expect(await propose(draft, [[4, accepted]])).toEqual([continued])
    draft.close?.()
  })

  test('a long prompt is caught up over several steps, and proposes nothing until then', {
    timeout: longMs,
  }, async () => {
    const draft = await open(targetPath)
    const long = Array.from({ length: 600 }, (_, i) => 1_000 + (i % 50))
    expect(await propose(draft, [[1, long]])).toEqual([[]])
    expect(await propose(draft, [[1, long]])).toEqual([[]])
    expect((await propose(draft, [[1, long]]))[0]).toHaveLength(4)
    draft.close?.()
  })

  test('more sequences than it has room for go without', { timeout: longMs }, async () => {
    const draft = await open(targetPath)
    const tokens = tokensOf('Once upon a time')
    const answers = await propose(
      draft,
      [0, 1, 2, 3, 4].map((key) => [key, tokens] as const),
    )
    expect(answers.map((chain) => chain.length)).toEqual([4, 4, 4, 4, 0])
    draft.close?.()
  })

  test('beside a target in the unified layout it grows trees, and every draw of one names the law of its own place', {
    timeout: longMs,
  }, async () => {
    const unified = await createLlamaRunner({
      modelPath: targetPath,
      slots: 2,
      contextTokensMax: 128,
      kvLayout: 'unified',
      kvCacheType: 'f16',
      threads: 1,
      backend: 'auto',
      embeddings: false,
      host: process,
      clock: systemClock,
      log: silentLog,
    })
    const draft = await open(targetPath, unified)
    const drawing = { kind: 'own-chance', processing: { temperature: 1, topK: 0, minP: 0, topP: 1 } } as const
    const request = { tokensMax: 8, depthMax: 4, drawing }
    const prompts = ['The capital of France is', 'Once upon a time there was'].map(tokensOf)
    const trees = await draft.propose(prompts.map((tokens, key) => ({ key, tokens, ...request })))
    for (const [i, { tree }] of trees.entries()) {
      expect(tree.tokens.length).toBeGreaterThan(4)
      expect(isChain(tree)).toBe(false)
      const first = tree.parents.findIndex((parent, node) => parent !== root && tree.parents.indexOf(parent) === node)
      const tokens = [...(prompts[i] ?? []), ...pathOf(tree, tree.parents[first] ?? root)]
      draft.forget(i)
      // The chain behind those tokens begins with the same law, but for the digits that the batch's shape costs.
      const [alone] = await draft.propose([{ key: 10 + i, tokens, tokensMax: 1, depthMax: 1, drawing }])
      const [law, expected] = [tree.laws?.[first], alone?.tree.laws?.[0]]
      draft.forget(10 + i)
      assert(law !== undefined && expected !== undefined)
      expect(overlap(law, expected)).toBeGreaterThan(0.98)
    }
    draft.close?.()
    await unified[Symbol.asyncDispose]()
  })

  test('one with another vocabulary is refused, and says what differs', { timeout: longMs }, async () => {
    const stranger = Object.assign(Object.create(target) as ModelRunner, {
      info: { ...target.info, beginToken: 7 },
      endOfGenerationTokens: () => target.endOfGenerationTokens(),
      specialText: (token: number) => target.specialText(token),
    })
    const opened = await openDraft({
      path: targetPath,
      target: stranger,
      backend: 'auto',
      host: process,
      log: silentLog,
    })
    expect(opened).toMatchObject({ kind: 'vocabulary-mismatch', fault: expect.stringContaining('begins') as string })
  })
})
