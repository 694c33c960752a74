/**
 * Soak: 100,000 hostile requests. No 5xx except 503 with `Retry-After`, no hang, refusals within 50 ms, heap back to its baseline.
 *
 *   node test/soak/hostile.ts [--count 100000] [--seed 1] [--concurrency 8] [--quick]
 */
import { setTimeout as wait } from 'node:timers/promises'
import { testModel } from '../bench/harness/model.ts'
import { collectable, holdings, type Holdings } from '../bench/harness/leftovers.ts'
import { readOptions } from '../bench/harness/options.ts'
import { type Deployment, startPlatform } from '../bench/harness/platform.ts'
import { figure, print, Report } from '../bench/harness/report.ts'
import { quantile } from '../bench/harness/statistics.ts'
import { type Campaign, fuzzBodies, rawCampaign } from './scenarios/hostile.ts'

const options = readOptions({ rounds: 1, quickRounds: 1 })
const count = options.value('count', options.quick ? 5_000 : 100_000)
const seed = options.value('seed', 1)
const concurrency = options.value('concurrency', 8)
const hangMs = 1_000
const report = new Report(
  'hostile',
  `Hostile requests: ${count} fuzzed bodies, raw bytes and half-open connections (seed ${seed})`,
)

const simulated = { stepMs: 0, rowMs: 0, promptTokensPerSecond: 1e9 }
const deployments: Deployment[] = [
  {
    name: 'simulated',
    spec: {
      engine: { kind: 'simulated', slots: 32, contextTokensMax: 512, embeddings: true, prefixCacheMiB: 8, simulated },
    },
  },
]
const model = testModel()
// Grammars and templates only exist in the real engine: a share of the bodies goes through it.
if (model !== null)
  deployments.push({
    name: 'real',
    modelPath: model,
    spec: { engine: { slots: 8, contextTokensMax: 512, threads: 1, embeddings: true } },
  })
else report.note('PACELINE_TEST_MODEL is not set: only the simulated engine is attacked')

const platform = await startPlatform({
  name: 'soak-hostile',
  deployments,
  nodeFlags: { router: collectable, worker: collectable },
})
try {
  await measure()
} finally {
  await platform.stop()
}
process.exit(report.finish({ quick: options.quick }))

async function measure(): Promise<void> {
  const target = (name: string) => ({ name, url: platform.url, model: name })
  const load = { seed, concurrency, hangMs }
  // A warm-up first: compiled code and caches belong to the baseline.
  await fuzzBodies(target('simulated'), { ...load, count: 1_000, seed: seed + 1e6 })
  await rawCampaign(target('simulated'), { times: 1, concurrency, open: 10, hangMs })
  const before = await allHoldings()
  const results: [string, Campaign][] = [
    ['fuzzed bodies, simulated engine', await fuzzBodies(target('simulated'), { ...load, count })],
  ]
  const realCount = Math.round(count / 50)
  if (model !== null)
    results.push([
      'fuzzed bodies, real engine',
      await fuzzBodies(target('real'), { ...load, count: realCount, hangMs: 10_000 }),
    ])
  results.push([
    'raw bytes',
    await rawCampaign(target('simulated'), {
      times: options.quick ? 3 : 25,
      concurrency,
      open: options.quick ? 50 : 500,
      hangMs,
    }),
  ])
  await wait(2_000)
  const after = await allHoldings()
  report.table(
    'answers',
    ['campaign', 'sent', 'statuses', 'refusal p50 ms', 'refusal p99 ms', 'slowest ms', 'wrong'],
    results.map(([name, result]) => rowOf(name, result)),
  )
  for (const [name, { findings }] of results) {
    for (const finding of findings.slice(0, 12))
      print(
        `  ${name}: ${finding.what}: ${finding.status} after ${figure(finding.tookMs)} ms: ${finding.request.slice(0, 240)} -> ${finding.answer.slice(0, 160)}`,
      )
    report.require({ what: `${name}: wrong answers`, measured: findings.length, bound: { atMost: 0 }, unit: '' })
    report.add(`findings: ${name}`, findings)
  }
  for (const [name, { refusalMs }] of results.filter(([each]) => !each.includes('real')))
    report.require({
      what: `${name}: p99 of refusals`,
      measured: quantile(refusalMs, 0.99),
      bound: { atMost: 50 },
      unit: 'ms',
    })
  report.table(
    'left over',
    ['part', 'heap MiB', 'resident MiB', 'files', 'timers'],
    Object.keys(before).map((part) => leftRow(part, before[part], after[part])),
  )
  for (const part of Object.keys(before)) requireBaseline(part, before[part], after[part])
}

async function allHoldings(): Promise<Record<string, Holdings>> {
  const workers = await Promise.all(
    platform.workers.map(
      async ({ id, child, metricsUrl }) => [`worker ${id}`, await holdings(child, metricsUrl)] as const,
    ),
  )
  return { router: await holdings(platform.router, platform.url), ...Object.fromEntries(workers) }
}

function requireBaseline(part: string, before: Holdings | undefined, after: Holdings | undefined): void {
  const grown = (field: keyof Holdings) => (after?.[field] ?? 0) - (before?.[field] ?? 0)
  report.require({ what: `${part}: heap gained`, measured: grown('heapMiB'), bound: { atMost: 8 }, unit: 'MiB' })
  report.require({ what: `${part}: timers gained`, measured: grown('timers'), bound: { atMost: 2 }, unit: '' })
}

function rowOf(name: string, { sent, statuses, refusalMs, slowest, findings }: Campaign): string[] {
  const counts = Object.entries(statuses).map(([status, times]) => `${status}: ${times}`)
  return [
    name,
    String(sent),
    counts.join(', '),
    figure(quantile(refusalMs, 0.5)),
    figure(quantile(refusalMs, 0.99)),
    figure(slowest),
    String(findings.length),
  ]
}

function leftRow(part: string, before: Holdings | undefined, after: Holdings | undefined): string[] {
  const change = (field: keyof Holdings) => `${before?.[field] ?? 0} -> ${after?.[field] ?? 0}`
  return [part, change('heapMiB'), change('residentMiB'), change('files'), change('timers')]
}
