/**
 * PromQL from the definitions in `contracts/metrics.ts`: a metric or label that does not exist is a type error, and a histogram
 * cannot be read as a counter. Dashboards and alerts write their queries with this and with nothing else.
 */
import type { MetricDefinition } from '#contracts/metrics.ts'

/** What a scrape adds to every series. */
type TargetLabel = 'namespace' | 'pod' | 'job' | 'instance'
export type LabelOf<M extends MetricDefinition> = M['labels'][number] | TargetLabel

export interface Selection<M extends MetricDefinition> {
  /** Labels that stay apart; all others are summed over. */
  readonly by?: readonly LabelOf<M>[]
  /** Label → matcher, operator included: `=~"a|b"`. */
  readonly where?: Readonly<Partial<Record<LabelOf<M>, string>>>
}
type Windowed<M extends MetricDefinition> = Selection<M> & { readonly window: string }
type Counter = MetricDefinition & { readonly kind: 'counter' }
type Gauge = MetricDefinition & { readonly kind: 'gauge' }
type Histogram = MetricDefinition & { readonly kind: 'histogram' }

/** Events per second. */
export function perSecond<const M extends Counter>(metric: M, selection: Windowed<M>): string {
  return summed(`rate(${series(metric, selection)}[${selection.window}])`, selection.by)
}

/** Events in the window. */
export function increase<const M extends Counter>(metric: M, selection: Windowed<M>): string {
  return summed(`increase(${series(metric, selection)}[${selection.window}])`, selection.by)
}

export function gauge<const M extends Gauge>(
  metric: M,
  selection: Selection<M> & { readonly over: 'sum' | 'max' | 'min' | 'avg' },
): string {
  return aggregated(selection.over, series(metric, selection), selection.by)
}

/** `share` 0.95: the value that 95 % stay below. */
export function quantile<const M extends Histogram>(metric: M, share: number, selection: Windowed<M>): string {
  const buckets = `rate(${series(metric, selection, '_bucket')}[${selection.window}])`
  return `histogram_quantile(${share}, ${summed(buckets, ['le', ...(selection.by ?? [])])})`
}

export function mean<const M extends Histogram>(metric: M, selection: Windowed<M>): string {
  const part = (suffix: string) =>
    summed(`rate(${series(metric, selection, suffix)}[${selection.window}])`, selection.by)
  return `${part('_sum')} / ${part('_count')}`
}

/** How often a histogram was fed, per second. */
export function observationsPerSecond<const M extends Histogram>(metric: M, selection: Windowed<M>): string {
  return summed(`rate(${series(metric, selection, '_count')}[${selection.window}])`, selection.by)
}

/** 1 where there is no such series at all. */
export function absent<const M extends Gauge>(metric: M, where: NonNullable<Selection<M>['where']>): string {
  return `absent(${series(metric, { where })})`
}

function series(
  metric: MetricDefinition,
  { where = {} }: { where?: Readonly<Record<string, string | undefined>> },
  suffix = '',
) {
  const matchers = Object.entries(where).map(([label, matcher]) => `${label}${matcher ?? ''}`)
  return `${metric.name}${suffix}${matchers.length === 0 ? '' : `{${matchers.join(', ')}}`}`
}

const summed = (expression: string, by: readonly string[] = []) => aggregated('sum', expression, by)

function aggregated(how: string, expression: string, by: readonly string[] = []): string {
  return by.length === 0 ? `${how}(${expression})` : `${how} by (${by.join(', ')}) (${expression})`
}
