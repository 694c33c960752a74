/**
 * Soak: worker memory with 8 slots of 2,048 tokens filled, router memory at 200 streams, and the second turn of a 1,500-token chat.
 *
 *   PACELINE_TEST_MODEL=model.gguf node test/soak/memory.ts [--quick]
 */
import { modelPath } from '../bench/harness/model.ts'
import { readOptions } from '../bench/harness/options.ts'
import { startPlatform } from '../bench/harness/platform.ts'
import { figure, Report } from '../bench/harness/report.ts'
import { median } from '../bench/harness/statistics.ts'
import { filledWorkerMiB, routerMiBAtStreams, type Turns, twoTurns } from './scenarios/memory.ts'

const options = readOptions({ rounds: 5, quickRounds: 2 })
const report = new Report('memory', 'Memory of worker and router, and the second turn of a chat')
await filledWorker()
await secondTurn()
await manyStreams()
process.exit(report.finish({ quick: options.quick }))

async function filledWorker(): Promise<void> {
  const slots = 8
  const contextTokensMax = 2_048
  const engine = { slots, contextTokensMax, threads: 2, prefixCacheMiB: 0 }
  const spec = { engine, compression: { kvCache: { type: 'f16' } } }
  const platform = await startPlatform({
    name: 'soak-memory',
    deployments: [{ name: 'smol', modelPath: modelPath(), spec }],
  })
  try {
    const measured = await filledWorkerMiB(
      platform,
      { name: 'smol', url: platform.url, model: 'smol' },
      { slots, contextTokensMax },
    )
    report.add('workerMiB', measured)
    report.require({
      what: 'worker resident, 8 x 2,048 tokens f16 filled',
      measured,
      bound: { atMost: 750 },
      unit: 'MiB',
    })
  } finally {
    await platform.stop()
  }
}

async function secondTurn(): Promise<void> {
  const spec = { engine: { slots: 4, contextTokensMax: 2_048, threads: 2 } }
  const platform = await startPlatform({
    name: 'soak-turns',
    deployments: [{ name: 'smol', modelPath: modelPath(), spec }],
  })
  try {
    const target = { name: 'smol', url: platform.url, model: 'smol' }
    const turns: Turns[] = []
    for (let round = 0; round < options.rounds; round += 1)
      turns.push(await twoTurns(target, { seed: 5_000 + round, tokens: 1_460 }))
    report.table(
      'two turns',
      ['first ms', 'second ms', 'prompt tokens', 'cached tokens'],
      turns.map((turn) => [
        figure(turn.firstMs),
        figure(turn.secondMs),
        String(turn.promptTokens),
        String(turn.cachedTokens),
      ]),
    )
    report.add('turns', turns)
    const measured = median(turns.map((turn) => turn.secondMs / turn.firstMs))
    report.require({
      what: 'second turn, time to first token against the first',
      measured,
      bound: { atMost: 0.15 },
      unit: 'x',
    })
  } finally {
    await platform.stop()
  }
}

async function manyStreams(): Promise<void> {
  const streams = 200
  const engine = { kind: 'simulated', slots: 256, contextTokensMax: 2_048, simulated: { stepMs: 20, rowMs: 0 } }
  const platform = await startPlatform({ name: 'soak-streams', deployments: [{ name: 'paced', spec: { engine } }] })
  try {
    const target = { name: 'paced', url: platform.url, model: 'paced' }
    const measured = await routerMiBAtStreams(platform, target, { streams, tokens: options.quick ? 100 : 400 })
    report.add('routerMiB', measured)
    report.require({ what: `router resident at ${streams} streams`, measured, bound: { atMost: 150 }, unit: 'MiB' })
  } finally {
    await platform.stop()
  }
}
