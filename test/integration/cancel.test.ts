/**
 * Clients that leave, short form of `test/soak/cancels.ts`: queued, in the prompt, while tokens come; streaming or not.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testModel } from '../bench/harness/model.ts'
import { type Platform, startPlatform } from '../bench/harness/platform.ts'
import { capacity, idle, leftInWorkers, phases, runCancels } from '../soak/scenarios/cancels.ts'
import { whyNoPlatform } from './support/needs.ts'

const reason = whyNoPlatform()
if (reason !== null) console.warn(`cancels are not tested: ${reason}`)
const slots = 2

describe.skipIf(reason !== null)('a client that leaves', () => {
  let platform: Platform
  beforeAll(async () => {
    const engine = { slots, contextTokensMax: 2_048, threads: 1, promptChunkTokensMax: 64 }
    platform = await startPlatform({
      name: 'cancel',
      deployments: [{ name: 'smol', modelPath: testModel() ?? '', spec: { engine } }],
    })
  })
  afterAll(() => platform.stop())

  test('gives all its capacity back, in whatever phase it leaves', async () => {
    const target = { name: 'smol', url: platform.url, model: 'smol' }
    const results = await runCancels(platform, target, {
      count: 18,
      seed: 4,
      slots,
      promptTokens: 600,
      promptMs: 800,
      firstTokenMs: 300,
    })
    expect(results).toHaveLength(18)
    for (const phase of phases) {
      const times = results.filter((result) => result.phase === phase).map(({ backMs }) => backMs)
      // The exact bound is the soak's business: this runs beside other tests.
      expect(Math.max(...times), phase).toBeLessThan(5_000)
    }
    expect(await capacity(platform)).toEqual(idle)
    expect(await leftInWorkers(platform)).toEqual({ cells: 0, runningGauge: 0 })
  })
})
