/** Tracing as the settings ask for it: tracer and exporter, or neither. */
import type { RouterTracing } from '#contracts/routerConfig.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { SpanExporter } from '#runtime/spanExporter.ts'
import { Tracer } from '#runtime/tracing.ts'
import { version } from '#runtime/version.ts'
import type { RouterMetrics } from './metrics.ts'
import type { TracingSettings } from './tracingSettings.ts'

export interface Tracing {
  /** Null: nothing is traced. */
  readonly tracer: Tracer | null
  /** Sends what is left. */
  close(): Promise<void>
}

export interface TracingOptions {
  readonly config: RouterTracing
  readonly settings: TracingSettings
  readonly clock: Clock
  readonly log: Log
  readonly metrics: RouterMetrics
  readonly random: () => number
  /** Names this process among those of the service. */
  readonly instance: string
  /** Milliseconds since 1970 at the clock's 0. */
  readonly epochMs: number
}

export function startTracing(options: TracingOptions): Tracing {
  const { config, settings, clock, log, metrics, random, instance, epochMs } = options
  const url = receiverOf(config)
  if (url === null) return { tracer: null, close: () => Promise.resolve() }
  const resource = {
    ...settings.resource,
    'service.name': config.serviceName,
    'service.version': version,
    'service.instance.id': instance,
  }
  const exporter = new SpanExporter({
    clock,
    log,
    url,
    headers: settings.headers,
    source: { resource, scope: { name: 'paceline', version }, epochMs },
    count: (outcome, spans) => metrics.spans.inc({ outcome }, spans),
  })
  const tracer = new Tracer({ take: exporter.take, random, ratio: config.sampleRatio })
  return { tracer, close: () => exporter.close() }
}

function receiverOf({ endpoint, tracesEndpoint }: RouterTracing): URL | null {
  if (tracesEndpoint !== undefined) return new URL(tracesEndpoint)
  return endpoint === undefined ? null : new URL(`${endpoint.replace(/\/+$/, '')}/v1/traces`)
}
