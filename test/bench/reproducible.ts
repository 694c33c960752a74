/**
 * Must be equal: 50 prompts with a seed at temperature 0.8, alone, among 7 other streams, with another prompt chunk size, and
 * after a prefix-cache hit, on a deployment with `reproducible: true`. The default mode is counted and reported beside it.
 *
 *   PACELINE_TEST_MODEL=model.gguf node test/bench/reproducible.ts [--prompts 50] [--tokens 64] [--quick]
 */
import { modelPath } from './harness/model.ts'
import { readOptions } from './harness/options.ts'
import { startPlatform } from './harness/platform.ts'
import { Report } from './harness/report.ts'
import { alone, amongOthers, differences, type Sampled } from '../soak/scenarios/reproducible.ts'

const options = readOptions({ rounds: 1, quickRounds: 1 })
const load = {
  prompts: options.value('prompts', options.quick ? 8 : 50),
  tokens: options.value('tokens', options.quick ? 32 : 64),
  seed: options.value('seed', 7),
  wordsMax: options.value('words', options.quick ? 300 : 700),
}
const report = new Report('reproducible', `Same seed, same text: ${load.prompts} prompts at temperature 0.8`)
const rows: string[][] = []
for (const reproducible of [true, false]) await measureMode(reproducible)
report.table(
  'texts that differ from the same prompt alone',
  ['mode', 'among 7 others', 'other chunk size', 'after a prefix-cache hit', 'cache hits'],
  rows,
)
process.exit(report.finish({ quick: options.quick }))

async function measureMode(reproducible: boolean): Promise<void> {
  const mode = reproducible ? 'reproducible: true' : 'default'
  const [first, crowded, repeated] = await withPlatform({ reproducible, prefixCacheMiB: 0 }, async (target) => {
    const base = await alone(target, load)
    return [base, await amongOthers(target, load, 7), base] as const
  })
  const chunked = await withPlatform({ reproducible, prefixCacheMiB: 0, promptChunkTokensMax: 96 }, (target) =>
    alone(target, load),
  )
  const cached = await withPlatform({ reproducible, prefixCacheMiB: 512 }, async (target) => {
    await alone(target, load)
    return alone(target, load)
  })
  const hits = cached.filter((one) => one.cachedTokens > 0).length
  const counts = {
    crowded: differences(first, crowded),
    chunked: differences(first, chunked),
    cached: differences(repeated, cached),
  }
  rows.push([mode, ...Object.values(counts).map((count) => `${count} of ${load.prompts}`), String(hits)])
  report.add(mode, { ...counts, hits })
  if (!reproducible) return
  for (const [name, measured] of Object.entries(counts))
    report.require({ what: `differences, ${name}`, measured, bound: { atMost: 0 }, unit: '' })
  report.require({
    what: 'answers from the prefix cache',
    measured: hits,
    bound: { atLeast: load.prompts / 2 },
    unit: '',
  })
}

type Target = Parameters<typeof alone>[0]

async function withPlatform<T extends readonly Sampled[] | readonly (readonly Sampled[])[]>(
  engine: object,
  use: (target: Target) => Promise<T>,
): Promise<T> {
  const spec = { engine: { slots: 8, contextTokensMax: 1_024, threads: 2, ...engine } }
  const platform = await startPlatform({
    name: 'reproducible',
    deployments: [{ name: 'smol', modelPath: modelPath(), spec }],
  })
  try {
    return await use({ name: 'smol', url: platform.url, model: 'smol' })
  } finally {
    await platform.stop()
  }
}
