/** What `paceline calibrate cascade --model` lets a model say is what is served. */
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { samplingDefaults } from '#contracts/sampling.ts'
import { systemClock } from '#runtime/clock.ts'
import { LocalModels } from '../../cli/calibrate/localModels.ts'
import type { Context } from '../../cli/context.ts'
import { testModel } from '../bench/harness/model.ts'

const never = new AbortController().signal
const context: Context = {
  config: { root: '.', cacheDir: tmpdir(), searchPath: [], environment: {} },
  clock: systemClock,
  random: () => 0,
  terminal: { line() {}, progress() {}, error() {} },
  interrupts: { first: never, second: never, outliveStarter() {} },
}

async function said(temperature: number | null, tokensMax = 12): Promise<string[]> {
  const path = testModel() ?? ''
  const form = { tokensMax, temperature, judgedTokens: null, seed: 1 }
  const shape = { contextTokensMax: 256, judgeSlots: 1, threads: 1 }
  await using models = new LocalModels({ stepPath: path, judgePath: path, ...shape, form }, context)
  const answers = await models.answer(['Tell me a story.', 'List three fruits.'], () => undefined)
  return answers.map(({ text }) => text)
}

test.runIf(testModel())('answers are sampled as those of a request that says nothing of it', async () => {
  const open = await said(null)
  expect(open).toEqual(await said(samplingDefaults.temperature))
  expect(open).not.toEqual(await said(0))
})

test.runIf(testModel())('a line that ends where the answer is cut ends with it', async () => {
  const cut = [15, 16, 17].map((tokensMax) => said(0, tokensMax))
  const texts = (await Promise.all(cut)).flat()
  expect(texts.some((text) => text.endsWith('\n'))).toBe(true)
})
