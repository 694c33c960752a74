import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type MetricDefinition, operatorMetrics, routerMetrics, workerMetrics } from '#contracts/metrics.ts'
import { Thresholds } from '../values.ts'
import { alertRules, alerts, anchorOf, expressionOf, withMarks } from './alerts.ts'
import { dashboards } from './dashboards.ts'
import { panelQueries } from './queries.ts'
import { gauge, mean, perSecond, quantile } from './promql.ts'

const parts: readonly Readonly<Record<string, MetricDefinition>>[] = [routerMetrics, workerMetrics, operatorMetrics]
const definitions = parts.flatMap((part) => Object.values(part))
const ofTarget = ['namespace', 'pod', 'job', 'instance', 'le']
const panels = Object.entries(dashboards).flatMap(([file, dashboard]) =>
  panelQueries(dashboard).map((panel) => ({ name: `${file} ${panel.title} ${panel.legend}`, ...panel })),
)
const queries = [
  ...panels,
  ...alerts.map((alert) => ({ name: alert.name, query: withMarks(expressionOf(alert), { namespace: 'ns' }) })),
]

describe('queries', () => {
  test.each(queries)('$name asks only for series and labels that exist', ({ query }) => {
    const selected = [...query.matchAll(/([a-z][\w:]*)\{([^}]*)\}/g)]
    expect(selected.length).toBeGreaterThan(0)
    for (const [, series = '', matchers = ''] of selected) {
      const metric = definitionOf(series)
      expect(metric, series).toBeDefined()
      const labels = [...matchers.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)].map(([, label]) => label)
      expect(labels.filter((label) => ![...(metric?.labels ?? []), ...ofTarget].includes(label ?? ''))).toEqual([])
    }
  })

  test('of counters and histograms are rates, of gauges are not', () => {
    const wrong = queries.flatMap(({ name, query }) =>
      [...query.matchAll(/(rate|increase)?\(?([a-z][\w:]*)\{[^}]*\}(\[)?/g)]
        .filter(([, , series = '', range]) => (definitionOf(series)?.kind === 'gauge') === (range === '['))
        .map(([match]) => `${name}: ${match}`),
    )
    expect(wrong).toEqual([])
  })

  test('are spelled out', () => {
    const where = { namespace: '="a"' } as const
    expect(perSecond(routerMetrics.requests, { where, by: ['model'], window: '5m' })).toBe(
      'sum by (model) (rate(paceline_requests_total{namespace="a"}[5m]))',
    )
    expect(quantile(routerMetrics.queueWait, 0.5, { where, window: '1m' })).toBe(
      'histogram_quantile(0.5, sum by (le) (rate(paceline_queue_wait_seconds_bucket{namespace="a"}[1m])))',
    )
    expect(mean(routerMetrics.queueWait, { window: '1m' })).toBe(
      'sum(rate(paceline_queue_wait_seconds_sum[1m])) / sum(rate(paceline_queue_wait_seconds_count[1m]))',
    )
    expect(gauge(routerMetrics.running, { over: 'max' })).toBe('max(paceline_requests_running)')
  })
})

describe('dashboards', () => {
  test('show every metric that a person would look for: all but those named here', () => {
    const shown = new Set(
      queries.flatMap(({ query }) =>
        [...query.matchAll(/([a-z][\w:]*)\{/g)].map(([, series]) => definitionOf(series ?? '')?.name),
      ),
    )
    const left = definitions.map(({ name }) => name).filter((name) => !shown.has(name))
    // vLLM's names, kept for dashboards that others have; each says the same as a metric that is shown.
    const sameElsewhere = [
      workerMetrics.promptTokens,
      workerMetrics.requestSuccess,
      workerMetrics.timeToFirstToken,
      workerMetrics.interTokenLatency,
      workerMetrics.timePerOutputToken,
      workerMetrics.endToEndLatency,
      workerMetrics.inferenceTime,
      workerMetrics.requestPromptTokens,
      workerMetrics.requestGenerationTokens,
    ]
    const forFaultFinding = [routerMetrics.queueBytes, routerMetrics.duplicates, workerMetrics.memoryAvailable]
    expect(left.toSorted()).toEqual([...sameElsewhere, ...forFaultFinding].map(({ name }) => name).toSorted())
  })

  test.each(Object.entries(dashboards))(
    '%s has unique panel ids, a description on each panel, and fits the grid',
    (_, dashboard) => {
      const list = dashboard.panels ?? []
      const ids = list.map(({ id }) => id)
      expect(new Set(ids).size).toBe(ids.length)
      for (const panel of list) {
        if (!('targets' in panel)) continue
        expect(panel.description, panel.title).toMatch(/\.$/)
        expect(panel.datasource).toEqual({ type: 'prometheus', uid: '${datasource}' })
        expect((panel.gridPos?.x ?? 0) + (panel.gridPos?.w ?? 0)).toBeLessThanOrEqual(24)
      }
    },
  )
})

describe('alerts', () => {
  const runbook = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'troubleshooting.md'), 'utf8')
  const headings = [...runbook.matchAll(/^#+ (.*)$/gm)].map((match) => match[1] ?? '')

  test.each(alerts)('$name has its runbook', ({ runbook: heading }) => {
    expect(headings).toContain(heading)
    expect(alertRules()).toContain(`#${anchorOf(heading)}`)
  })

  test('carry no mark that the chart does not fill in, and use every threshold', () => {
    const marks = new Set(
      [
        ...alertRules()
          .split('\n')
          .slice(1)
          .join('\n')
          .matchAll(/@(\w+)@/g),
      ].map(([, mark]) => mark),
    )
    expect([...marks].map(String).toSorted()).toEqual(
      [...Object.keys(Thresholds.shape), 'namespace', 'runbookUrl'].toSorted(),
    )
  })

  test('stay in the namespace of their release', () => {
    for (const alert of alerts)
      for (const [, matchers] of expressionOf(alert).matchAll(/\{([^}]*)\}/g))
        expect(matchers).toContain('namespace="@namespace@"')
  })
})

function definitionOf(series: string): MetricDefinition | undefined {
  return definitions.find(
    ({ name, kind }) =>
      name === series || (kind === 'histogram' && [`${name}_bucket`, `${name}_sum`, `${name}_count`].includes(series)),
  )
}
