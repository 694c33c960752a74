/**
 * Metrics as typed members: one per definition in `contracts/metrics.ts`, each only with the operation its kind allows and only
 * with its own labels. prom-client keeps the numbers.
 *
 * A label value that comes from outside (model, tenant) is capped: after `limits.metrics.labelValuesMax` distinct values the
 * rest is counted as `other`, so that a hostile client cannot grow the process.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { limits } from '#contracts/limits.ts'
import type { MetricDefinition } from '#contracts/metrics.ts'

type Labels<M extends MetricDefinition> = Readonly<Record<M['labels'][number], string | number>>
type Member<M extends MetricDefinition> = M['kind'] extends 'counter'
  ? { inc(labels: Labels<M>, by?: number): void }
  : M['kind'] extends 'gauge'
    ? { set(labels: Labels<M>, value: number): void; remove(labels: Labels<M>): void }
    : { observe(labels: Labels<M>, value: number): void }

export type Metrics<D extends Record<string, MetricDefinition>> = { readonly [K in keyof D]: Member<D[K]> } & {
  /** Prometheus text format. */
  text(): Promise<string>
  readonly contentType: string
}

interface Operations {
  inc(labels: Record<string, string | number>, by?: number): void
  set(labels: Record<string, string | number>, value: number): void
  remove(labels: Record<string, string | number>): void
  observe(labels: Record<string, string | number>, value: number): void
}

/** Gauges that prom-client calls `_total`, which Prometheus keeps for counters; each is the sum of one that stays. */
const misnamed = ['nodejs_active_resources_total', 'nodejs_active_handles_total', 'nodejs_active_requests_total']

export function createMetrics<const D extends Record<string, MetricDefinition>>(
  definitions: D,
  options: { processMetrics?: boolean } = {},
): Metrics<D> {
  const registry = new Registry()
  if (options.processMetrics ?? true) {
    collectDefaultMetrics({ register: registry })
    for (const name of misnamed) registry.removeSingleMetric(name)
  }
  const members = Object.fromEntries(
    Object.entries(definitions).map(([key, definition]) => [key, member(definition, registry)]),
  )
  const own = { text: () => registry.metrics(), contentType: registry.contentType }
  // The mapped type states per key what `member` decides per definition; TypeScript cannot follow Object.fromEntries there.
  return Object.assign(members, own) as unknown as Metrics<D>
}

function member(definition: MetricDefinition, registry: Registry): Partial<Operations> {
  const capped = cap()
  const base = {
    name: definition.name,
    help: definition.help,
    labelNames: [...definition.labels],
    registers: [registry],
  }
  switch (definition.kind) {
    case 'counter': {
      const counter = new Counter(base)
      if (definition.labels.length === 0) counter.inc(0)
      return { inc: (labels, by = 1) => counter.inc(capped(labels), by) }
    }
    case 'gauge': {
      const gauge = new Gauge(base)
      return {
        set: (labels, value) => gauge.set(capped(labels), value),
        remove: (labels) => gauge.remove(capped(labels)),
      }
    }
    case 'histogram': {
      const histogram = new Histogram({
        ...base,
        ...(definition.buckets === undefined ? {} : { buckets: [...definition.buckets] }),
      })
      return { observe: (labels, value) => histogram.observe(capped(labels), value) }
    }
    default:
      return definition.kind satisfies never
  }
}

/** Replaces label values beyond the bound by `other`, per label name. Copies only then: this runs for every count of every request. */
function cap(): (labels: Record<string, string | number>) => Record<string, string | number> {
  const seen = new Map<string, Set<string | number>>()
  return (labels) => {
    let out = labels
    for (const name in labels) {
      const value = labels[name] ?? ''
      let values = seen.get(name)
      if (values === undefined) seen.set(name, (values = new Set()))
      if (values.has(value)) continue
      if (values.size < limits.metrics.labelValuesMax) values.add(value)
      else out = { ...out, [name]: 'other' }
    }
    return out
  }
}
