/** Every metric that is exported, by part. */
import { type MetricDefinition, operatorMetrics, routerMetrics, workerMetrics } from '#contracts/metrics.ts'
import { markdownTable, page } from './markdown.ts'

export function metricsPage(): string {
  return page(
    'Metrics',
    'contracts/metrics.ts',
    'Prometheus text format at `/metrics` of each process; `npm run status -- --json` says where. Seconds, bytes and tokens; counters end in `_total`.',
    [
      '## Router',
      metricTable(routerMetrics),
      '## Worker',
      "vLLM's names; `engine` is `llamacpp` or `simulated`, so a simulated figure never looks like a real one.",
      metricTable(workerMetrics),
      '## Operator',
      metricTable(operatorMetrics),
    ],
  )
}

function metricTable(definitions: Readonly<Record<string, MetricDefinition>>): string {
  const rows = Object.values(definitions).map(({ name, kind, labels, help, buckets }) => [
    `\`${name}\``,
    kind,
    labels.map((label) => `\`${label}\``).join(', '),
    buckets === undefined ? help : `${help} Buckets ${buckets[0]} to ${buckets.at(-1)}.`,
  ])
  return markdownTable(['name', 'kind', 'labels', 'meaning'], rows)
}
