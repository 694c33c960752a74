/**
 * Same seed, same text: short form of `test/bench/reproducible.ts`, on a deployment with `reproducible: true`.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testModel } from '../bench/harness/model.ts'
import { type Platform, startPlatform } from '../bench/harness/platform.ts'
import { alone, amongOthers, type Sampled } from '../soak/scenarios/reproducible.ts'
import { whyNoPlatform } from './support/needs.ts'

const reason = whyNoPlatform()
if (reason !== null) console.warn(`reproducibility is not tested: ${reason}`)
const load = { prompts: 4, tokens: 12, seed: 7, wordsMax: 160 }

describe.skipIf(reason !== null)('with reproducible: true, a seeded answer at temperature 0.8', () => {
  let platform: Platform
  let first: Sampled[]
  const target = (model: string) => ({ name: model, url: platform.url, model })
  /** One worker at a time: an idle one would prove and measure, on the processor that the other one needs. */
  const serve = async (name: string, more: object) => {
    const engine = { slots: 8, contextTokensMax: 1_024, threads: 1, reproducible: true, ...more }
    const deployment = { name, modelPath: testModel() ?? '', spec: { engine } }
    platform = await startPlatform({ name: 'reproducible', deployments: [deployment] })
  }
  beforeAll(async () => {
    await serve('plain', { prefixCacheMiB: 0 })
    first = await alone(target('plain'), load)
  })
  afterAll(() => platform.stop())
  const texts = (sampled: readonly Sampled[]) => sampled.map(({ text }) => text)

  test('is the same among 7 others', async () => {
    expect(texts(await amongOthers(target('plain'), load, 7))).toEqual(texts(first))
  })

  test('is the same with another prompt chunk size, and after a prefix-cache hit', async () => {
    await platform.stop()
    await serve('other', { promptChunkTokensMax: 48 })
    expect(texts(await alone(target('other'), load))).toEqual(texts(first))
    const again = await alone(target('other'), load)
    expect(texts(again)).toEqual(texts(first))
    expect(again.filter(({ cachedTokens }) => cachedTokens > 0).length).toBeGreaterThan(1)
  })
})
