/**
 * One rule to pick workers, on one trace, in virtual time: what clients waited for, what was computed twice, how busy engines were.
 */
import type { PickRule } from '../../router/core/pick.ts'
import { createRandom } from './random.ts'
import { routingTrace, type TraceOptions } from './routingTrace.ts'
import { RoutingWorld, type RoutingWorldOptions, type Served } from './routingWorld.ts'

export interface MeasureOptions extends Omit<RoutingWorldOptions, 'random' | 'pick'> {
  readonly seed: number
  readonly trace: TraceOptions
  /** Requests of the first seconds do not count: caches are empty, and sessions that go on begin anew. */
  readonly warmSeconds?: number
  /** Absent: ours. */
  readonly pick?: () => PickRule
}

export interface RoutingFigures {
  readonly requests: number
  /** From asking to the first text, of all requests. */
  readonly firstTokenMs: { readonly mean: number; readonly p50: number; readonly p95: number }
  /** From asking to the end. */
  readonly durationMs: number
  /** Share of the time that engines spent in steps, from the first request to the last one. */
  readonly busy: number
  /** Share of all prompt tokens that were not computed. */
  readonly cached: number
}

export async function measureRouting({
  seed,
  trace: options,
  warmSeconds = 0,
  ...world
}: MeasureOptions): Promise<RoutingFigures> {
  const random = createRandom(seed)
  const stand = await RoutingWorld.start({ ...world, random: random.fork('world') })
  const trace = routingTrace(random.fork('trace'), options)
  const countedFrom = stand.clock.now() + 1_000 * warmSeconds
  const served = (await stand.run(trace)).filter(({ askedAt }) => askedAt >= countedFrom)
  return figuresOf(served, stand.busyShare(options.seconds * 1_000))
}

function figuresOf(served: readonly Served[], busy: number): RoutingFigures {
  const waits = served.map(({ firstTextAt, askedAt }) => (firstTextAt ?? Number.NaN) - askedAt).sort((a, b) => a - b)
  const at = (share: number) => waits[Math.floor(share * waits.length)] ?? Number.NaN
  const usages = served.flatMap(({ outcome }) => (outcome?.kind === 'completed' ? [outcome.usage] : []))
  const total = (of: (usage: (typeof usages)[number]) => number) => usages.reduce((sum, usage) => sum + of(usage), 0)
  return {
    requests: served.length,
    firstTokenMs: { mean: mean(waits), p50: at(0.5), p95: at(0.95) },
    durationMs: mean(served.map(({ endedAt, askedAt }) => (endedAt ?? Number.NaN) - askedAt)),
    busy,
    cached: total(({ cachedTokens }) => cachedTokens) / total(({ promptTokens }) => promptTokens),
  }
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

/** The rate at which this rule keeps engines so busy: by halving an interval, on one seed. */
export async function rateAtBusy(
  busy: number,
  options: Omit<MeasureOptions, 'trace'> & { readonly trace: Omit<TraceOptions, 'perSecond'> },
  between: { low: number; high: number; rounds: number },
): Promise<number> {
  let { low, high } = between
  for (let round = 0; round < between.rounds; round++) {
    const perSecond = (low + high) / 2
    const figures = await measureRouting({ ...options, trace: { ...options.trace, perSecond } })
    if (figures.busy < busy) low = perSecond
    else high = perSecond
  }
  return (low + high) / 2
}
