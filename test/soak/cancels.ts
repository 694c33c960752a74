/**
 * Soak: 500 clients leave at random phases. Capacity is back within one step and 100 ms each; nothing is left over.
 *
 *   PACELINE_TEST_MODEL=model.gguf node test/soak/cancels.ts [--count 500] [--seed 1] [--quick]
 */
import { modelPath } from '../bench/harness/model.ts'
import { HttpClient, type Target } from '../bench/harness/client.ts'
import { holdings, collectable, type Holdings } from '../bench/harness/leftovers.ts'
import { sendChat } from '../bench/harness/load.ts'
import { readOptions } from '../bench/harness/options.ts'
import { startPlatform } from '../bench/harness/platform.ts'
import { question, wordsOf } from '../bench/harness/prompts.ts'
import { figure, Report } from '../bench/harness/report.ts'
import { gaps, median, quantile } from '../bench/harness/statistics.ts'
import { type Cancelled, capacity, leftInWorkers, phases, runCancels } from './scenarios/cancels.ts'

const options = readOptions({ rounds: 1, quickRounds: 1 })
const count = options.value('count', options.quick ? 60 : 500)
const seed = options.value('seed', 1)
const slots = 4
const promptTokens = 1_200
const chunkTokens = 256
const report = new Report('cancels', `Cancels: ${count} clients leave at random phases (seed ${seed})`)
const platform = await startPlatform({
  name: 'soak-cancels',
  deployments: [
    {
      name: 'smol',
      modelPath: modelPath(),
      spec: { engine: { slots, contextTokensMax: 2_048, threads: 1, promptChunkTokensMax: chunkTokens } },
    },
  ],
  nodeFlags: { router: collectable, worker: collectable },
})
try {
  await measure()
} finally {
  await platform.stop()
}
process.exit(report.finish({ quick: options.quick }))

async function measure(): Promise<void> {
  const target = { name: 'paceline', url: platform.url, model: 'smol' }
  const steps = await stepTimes(target)
  const before = await allHoldings()
  const results = await runCancels(platform, target, {
    count,
    seed,
    slots,
    promptTokens,
    promptMs: steps.promptMs,
    firstTokenMs: steps.firstTokenMs,
  })
  const after = await allHoldings()
  report.add('results', results)
  report.note(
    `one prompt step takes about ${figure(steps.promptStepMs)} ms, one decode step ${figure(steps.decodeStepMs)} ms`,
  )
  report.table(
    'capacity back after',
    ['phase', 'cancels', 'streaming', 'p50 ms', 'p99 ms', 'max ms'],
    phases.map((phase) =>
      rowOf(
        phase,
        results.filter((result) => result.phase === phase),
      ),
    ),
  )
  report.table(
    'left over',
    ['part', 'heap MiB', 'files', 'timers', 'resources'],
    Object.keys(before).map((part) => leftRow(part, before[part], after[part])),
  )
  // What a queued request waits for is no step at all; the full slots beside it decode.
  const stepMs = { queued: steps.decodeStepMs, prompt: steps.promptStepMs, decode: steps.decodeStepMs }
  for (const phase of phases) {
    const worst = Math.max(...results.filter((result) => result.phase === phase).map(({ backMs }) => backMs))
    const bound = { atMost: Math.round(stepMs[phase] + 100) }
    report.require({ what: `capacity back, worst of ${phase}`, measured: worst, bound, unit: 'ms' })
  }
  const left = await capacity(platform)
  for (const name of ['running', 'waiting', 'queued', 'dispatched'] as const)
    report.require({ what: `requests ${name} at the end`, measured: left[name], bound: { atMost: 0 }, unit: '' })
  const { cells, runningGauge } = await leftInWorkers(platform)
  report.require({ what: 'cells in use at the end', measured: cells, bound: { atMost: 0 }, unit: '' })
  report.require({
    what: 'gauge of running requests at the end',
    measured: runningGauge,
    bound: { atMost: 0 },
    unit: '',
  })
  for (const part of Object.keys(before)) {
    const grown = (field: keyof Holdings) => (after[part]?.[field] ?? 0) - (before[part]?.[field] ?? 0)
    report.require({ what: `${part}: timers gained`, measured: grown('timers'), bound: { atMost: 1 }, unit: '' })
    // Kept-alive connections of this process may come and go.
    report.require({ what: `${part}: files gained`, measured: grown('files'), bound: { atMost: 8 }, unit: '' })
    report.require({ what: `${part}: heap gained`, measured: grown('heapMiB'), bound: { atMost: 5 }, unit: 'MiB' })
  }
}

interface StepTimes {
  /** Whole long prompt; one chunk of it. */
  readonly promptMs: number
  readonly promptStepMs: number
  readonly firstTokenMs: number
  /** With every slot busy, as in the queued phase. */
  readonly decodeStepMs: number
}

async function stepTimes(target: Target): Promise<StepTimes> {
  const client = new HttpClient(target, slots)
  const long: number[] = []
  const short: number[] = []
  for (let index = 0; index < 3; index += 1) {
    const answer = await sendChat(client, { prompt: wordsOf(77_000 + index, promptTokens), tokens: 1 })
    long.push(answer.endedAt - answer.startedAt)
    const first = await sendChat(client, { prompt: question(78_000 + index), tokens: 2 })
    short.push((first.firstAt ?? first.endedAt) - first.startedAt)
  }
  const full = await Promise.all(
    Array.from({ length: slots }, (_, index) => sendChat(client, { prompt: question(79_000 + index), tokens: 48 })),
  )
  await client.close()
  const promptMs = median(long)
  return {
    promptMs,
    promptStepMs: promptMs / Math.ceil(promptTokens / chunkTokens),
    firstTokenMs: median(short),
    decodeStepMs: median(full.flatMap((answer) => gaps(answer.contentAt))),
  }
}

async function allHoldings(): Promise<Record<string, Holdings>> {
  const workers = await Promise.all(
    platform.workers.map(
      async ({ id, child, metricsUrl }) => [`worker ${id}`, await holdings(child, metricsUrl)] as const,
    ),
  )
  return { router: await holdings(platform.router, platform.url), ...Object.fromEntries(workers) }
}

function rowOf(phase: string, results: readonly Cancelled[]): string[] {
  const times = results.map(({ backMs }) => backMs)
  const streaming = results.filter((result) => result.streaming).length
  return [
    phase,
    String(results.length),
    String(streaming),
    ...[0.5, 0.99, 1].map((share) => figure(quantile(times, share))),
  ]
}

function leftRow(part: string, before: Holdings | undefined, after: Holdings | undefined): string[] {
  const change = (field: keyof Holdings) => `${before?.[field] ?? 0} -> ${after?.[field] ?? 0}`
  return [part, change('heapMiB'), change('files'), change('timers'), change('resources')]
}
