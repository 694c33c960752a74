/**
 * Memory, short form of `test/soak/memory.ts`: a filled worker and a router with many streams stay within their bounds, and the
 * second turn of a chat is restored instead of computed.
 */
import { describe, expect, test } from 'vitest'
import { testModel } from '../bench/harness/model.ts'
import { type Deployment, type Platform, startPlatform } from '../bench/harness/platform.ts'
import { filledWorkerMiB, routerMiBAtStreams, twoTurns } from '../soak/scenarios/memory.ts'
import { whyNoPlatform } from './support/needs.ts'

const reason = whyNoPlatform() ?? (process.platform === 'linux' ? null : 'resident memory is read from /proc')
if (reason !== null) console.warn(`memory is not tested: ${reason}`)

const target = (platform: Platform, model: string) => ({ name: model, url: platform.url, model })

describe.skipIf(reason !== null)('memory', () => {
  test('of a worker with 4 filled contexts of 256 tokens stays below 400 MiB', async () => {
    const filled = { slots: 4, contextTokensMax: 256 }
    const engine = { ...filled, threads: 1, prefixCacheMiB: 0 }
    await using platform = await started({ name: 'smol', modelPath: testModel() ?? '', spec: { engine } })
    expect(await filledWorkerMiB(platform, target(platform, 'smol'), filled)).toBeLessThan(400)
  })

  test('of a router with 200 streams stays below 150 MiB', async () => {
    // Prompts are read at once, so that all 200 speak at the same time.
    const simulated = { stepMs: 20, rowMs: 0, promptTokensPerSecond: 20_000 }
    const engine = { kind: 'simulated', slots: 256, contextTokensMax: 2_048, simulated }
    await using platform = await started({ name: 'paced', spec: { engine } })
    expect(await routerMiBAtStreams(platform, target(platform, 'paced'), { streams: 200, tokens: 50 })).toBeLessThan(
      150,
    )
  })

  test('of the first turn is used by the second', async () => {
    const engine = { slots: 2, contextTokensMax: 1_024, threads: 1 }
    await using platform = await started({ name: 'smol', modelPath: testModel() ?? '', spec: { engine } })
    const turns = await twoTurns(target(platform, 'smol'), { seed: 9, tokens: 300 })
    expect(turns.cachedTokens).toBeGreaterThan(300)
    expect(turns.secondMs).toBeLessThan(turns.firstMs / 2)
  })
})

async function started(deployment: Deployment): Promise<Platform & AsyncDisposable> {
  const platform = await startPlatform({ name: 'memory', deployments: [deployment] })
  return { ...platform, [Symbol.asyncDispose]: () => platform.stop() }
}
