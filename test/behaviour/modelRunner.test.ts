import { describe, expect, test } from 'vitest'
import { systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { createLlamaRunner } from '../../gpu-worker/llama/llamaRunner.ts'
import { proveReproducible } from '../../gpu-worker/reproducibility.ts'
import { createSimulatedRunner } from '../../gpu-worker/simulated/simulatedRunner.ts'
import { testModel } from './modelRunnerModel.ts'
import type { OpenRunner } from './modelRunnerSteps.ts'
import { modelRunnerSuite } from './modelRunnerSuite.ts'

const openSimulated: OpenRunner = (options) =>
  Promise.resolve(
    createSimulatedRunner({
      promptTokensPerSecond: 100_000,
      stepMs: 1,
      rowMs: 0,
      acceptance: 1,
      draftTokens: 0,
      seed: 1,
      faults: [],
      clock: systemClock,
      ...options,
    }),
  )

modelRunnerSuite('simulated', openSimulated)

const model = testModel()
if (model.kind === 'missing') {
  describe.skip(`llama.cpp (${model.reason})`, () => test('skipped', () => undefined))
  console.warn(`skipped llama.cpp: ${model.reason}`)
} else {
  const { path } = model
  const openLlama: OpenRunner = ({ kvCacheType = 'f16', ...options }) =>
    createLlamaRunner({
      modelPath: path,
      kvCacheType,
      threads: 1,
      backend: 'auto',
      embeddings: true,
      host: process,
      clock: systemClock,
      log: silentLog,
      ...options,
    })
  modelRunnerSuite('llama.cpp', openLlama)

  describe('llama.cpp alone', () => {
    test('a q8_0 cache is proved reproducible', { timeout: 300_000 }, async () => {
      await using runner = await openLlama({ slots: 4, contextTokensMax: 768, kvLayout: 'split', kvCacheType: 'q8_0' })
      // Over 512 cells, where f16 caches change their path.
      const proof = await proveReproducible(runner, { promptTokens: 530, comparedTokens: 8 })
      expect(proof).toMatchObject({ kind: 'reproducible' })
    })

    test('in the unified layout it is refuted: tokens that take the cells of a neighbour are added up in another order', {
      timeout: 300_000,
    }, async () => {
      await using runner = await openLlama({
        slots: 2,
        contextTokensMax: 256,
        kvLayout: 'unified',
        kvCacheType: 'q8_0',
      })
      if (runner.info.backend !== 'cpu') return
      const proof = await proveReproducible(runner, { promptTokens: 60, comparedTokens: 8 })
      expect(proof).toMatchObject({ kind: 'differs', shape: 'after a neighbour has left' })
    })

    test('a state is refused by a runner of another shape', async () => {
      await using small = await openLlama({ slots: 1, contextTokensMax: 256, kvLayout: 'split' })
      await using other = await openLlama({ slots: 2, contextTokensMax: 256, kvLayout: 'split' })
      await small.decode([{ slot: 0, position: 0, tokens: [300, 301], logitsForLast: 1 }])
      expect(other.restoreSequence(0, small.saveSequence(0))).toBe(false)
    })

    test.each([
      ['missing', '/nonexistent/model.gguf', /cannot be read/],
      ['not GGUF', import.meta.filename, /not a GGUF file/],
    ])('a model file that is %s is named with what to do', async (_what, modelPath, message) => {
      const opening = createLlamaRunner({
        modelPath,
        slots: 1,
        contextTokensMax: 256,
        kvCacheType: 'auto',
        kvLayout: 'split',
        threads: 1,
        backend: 'auto',
        embeddings: false,
        host: process,
        clock: systemClock,
        log: silentLog,
      })
      await expect(opening).rejects.toMatchObject({ code: 'model-unusable' })
      await expect(opening).rejects.toThrow(message)
    })
  })
}
