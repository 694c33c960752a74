/**
 * Prefix-aware pick: what a decision takes with 100 workers in one process, and what it gains against other rules, in virtual time.
 *
 * The real router and 100 real workers with the simulated engine on SmolLM2's measured cost curve, on a fake clock; only the time of a
 * decision is the machine's own. A decision is everything from the submitted request to its dispatch: admission, digests, pick, message.
 * `--routers` spreads the trace over several routers that share nothing.
 *
 *   node test/bench/routing.ts [--workers 100] [--seconds 60] [--rounds 3] [--warm 20] [--rate N] [--rules ours,round robin]
 *     [--only decision|tokens|requests|routers] [--quick]
 */
import { smolLm2 } from '#test/simulate/curves.ts'
import { createRandom } from '#test/simulate/random.ts'
import { rivals } from '#test/simulate/rivalPicks.ts'
import { measureRouting, rateAtBusy, type RoutingFigures } from '#test/simulate/routingMeasure.ts'
import { routingTrace, sixtyPercentOfRequests, sixtyPercentOfTokens } from '#test/simulate/routingTrace.ts'
import { RoutingWorld } from '#test/simulate/routingWorld.ts'
import type { PickRule } from '../../router/core/pick.ts'
import { readOptions } from './harness/options.ts'
import { figure, Report } from './harness/report.ts'
import { median, quantile } from './harness/statistics.ts'

const options = readOptions({ rounds: 3, quickRounds: 1 })
const report = new Report(
  options.only === null ? 'routing' : `routing-${options.only}`,
  'Prefix-aware pick: decisions, and first tokens against other rules',
)
const workers = options.value('workers', options.quick ? 24 : 100)
const seconds = options.value('seconds', options.quick ? 20 : 60)
/** Two sessions long, and not counted. */
const warmSeconds = options.value('warm', options.quick ? 10 : 20)
const cluster = { workers, routers: 1, slots: 8, contextTokensMax: 2_048, curve: smolLm2 }

if (wanted('decision')) await decisions()
if (wanted('tokens')) await firstTokens('60 % of the tokens are shared', sixtyPercentOfTokens, { atMost: 0.5 })
if (wanted('requests'))
  await firstTokens('60 % of the requests share, the others are as long', sixtyPercentOfRequests, null)
if (wanted('routers')) await replicas()
process.exit(report.finish({ quick: options.quick }))

function wanted(section: string): boolean {
  return options.only === null || section.includes(options.only)
}

async function decisions(): Promise<void> {
  const perSecond = 500
  const random = createRandom(1)
  const world = await RoutingWorld.start({
    ...cluster,
    workers: 100,
    random: random.fork('world'),
    stopwatch: () => performance.now(),
  })
  const shape = { ...sixtyPercentOfTokens, documentTokens: 200, questionTokens: 30, answerTokens: 6 }
  await world.run(routingTrace(random.fork('warm'), { ...shape, seconds: 2, perSecond }))
  const served = await world.run(routingTrace(random.fork('trace'), { ...shape, seconds: 10, perSecond }))
  const times = served.map(({ submitMs }) => submitMs)
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => quantile(times, share))
  report.add('decisions', { requests: times.length, p50, p95, p99 })
  report.table(
    '100 workers, 500 requests a second of virtual time, one process',
    ['requests', 'p50 ms', 'p95 ms', 'p99 ms'],
    [[String(times.length), figure(p50 ?? 0), figure(p95 ?? 0), figure(p99 ?? 0)]],
  )
  report.require({ what: 'decision p50', measured: p50 ?? Number.NaN, bound: { atMost: 0.3 }, unit: 'ms' })
  report.require({ what: 'decision p95', measured: p95 ?? Number.NaN, bound: { atMost: 4.5 }, unit: 'ms' })
}

type Shape = typeof sixtyPercentOfTokens

async function firstTokens(title: string, shape: Shape, bound: { atMost: number } | null): Promise<void> {
  const perSecond = options.value('rate', 0) || (await rateOfRoundRobin(shape))
  const all: Readonly<Record<string, (() => PickRule) | undefined>> = { ours: undefined, ...rivals }
  const wantedRules = options.text('rules', Object.keys(all).join()).split(',')
  const rules = Object.fromEntries(Object.entries(all).filter(([rule]) => wantedRules.includes(rule)))
  const found = new Map<string, RoutingFigures[]>()
  for (const [rule, pick] of Object.entries(rules)) found.set(rule, await rounds(shape, perSecond, pick))
  const base = meanOf(found.get('round robin') ?? [])
  report.add(title, { perSecond, workers, found: Object.fromEntries(found) })
  report.table(
    `${title}: ${workers} workers, ${figure(perSecond)} requests a second, where round robin is 80 % busy`,
    ['rule', 'first token ms', 'of round robin', 'p50', 'p95', 'whole answer ms', 'busy', 'tokens held'],
    [...found].map(([rule, own]) => row(rule, own, base)),
  )
  if (bound === null) return
  const ratio = meanOf(found.get('ours') ?? []) / base
  report.require({ what: `${title}: mean first token of round robin's`, measured: ratio, bound, unit: 'x' })
}

/** On one seed; the table shows how busy it was on all. */
function rateOfRoundRobin(shape: Shape): Promise<number> {
  const given = { ...cluster, seed: 100, pick: rivals['round robin'], trace: { ...shape, seconds: seconds / 2 } }
  return rateAtBusy(0.8, given, { low: 0.6 * workers, high: 1.8 * workers, rounds: 5 })
}

async function rounds(shape: Shape, perSecond: number, pick?: () => PickRule, routers = 1): Promise<RoutingFigures[]> {
  const own: RoutingFigures[] = []
  for (let seed = 1; seed <= options.rounds; seed++)
    own.push(
      await measureRouting({
        ...cluster,
        routers,
        seed,
        warmSeconds,
        trace: { ...shape, seconds: warmSeconds + seconds, perSecond },
        ...(pick === undefined ? {} : { pick }),
      }),
    )
  return own
}

function meanOf(own: readonly RoutingFigures[]): number {
  return own.reduce((sum, { firstTokenMs }) => sum + firstTokenMs.mean, 0) / own.length
}

function row(rule: string, own: readonly RoutingFigures[], base: number): string[] {
  const over = (of: (figures: RoutingFigures) => number) => figure(median(own.map(of)))
  return [
    rule,
    figure(meanOf(own)),
    (meanOf(own) / base).toFixed(3),
    over(({ firstTokenMs }) => firstTokenMs.p50),
    over(({ firstTokenMs }) => firstTokenMs.p95),
    over(({ durationMs }) => durationMs),
    over(({ busy }) => busy),
    over(({ cached }) => cached),
  ]
}

/** Routers share nothing but what workers report: what that costs. */
async function replicas(): Promise<void> {
  const perSecond = options.value('rate', 1.2 * workers)
  const found = new Map<number, RoutingFigures[]>()
  for (const routers of [1, 2, 4]) found.set(routers, await rounds(sixtyPercentOfTokens, perSecond, undefined, routers))
  const base = meanOf(found.get(1) ?? [])
  report.add('routers', Object.fromEntries(found))
  report.table(
    `Several routers: ${workers} workers, ${figure(perSecond)} requests a second`,
    ['routers', 'first token ms', 'of one router', 'p50', 'p95', 'whole answer ms', 'busy', 'tokens held'],
    [...found].map(([routers, own]) => row(String(routers), own, base)),
  )
}
