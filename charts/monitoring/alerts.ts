/**
 * The alerts: what is measured, when it is bad, for how long, and the runbook. Thresholds are marks that the chart replaces by its
 * values (`monitoring.prometheusRule.thresholds`), so that nobody has to copy a rule to move a number.
 *
 * The measured value stands apart from its bound, so that a test can ask a real Prometheus whether it has data at all.
 */
import { stringify } from 'yaml'
import { operatorMetrics, routerMetrics, workerMetrics } from '#contracts/metrics.ts'
import type { Thresholds } from '../values.ts'
import { absent, gauge, increase, perSecond } from './promql.ts'

export interface Alert {
  readonly name: string
  readonly severity: 'warning' | 'critical'
  /** What is measured; has data while the system runs, quiet or not. */
  readonly value: string
  /** Comparison, and further conditions. */
  readonly bound: string
  readonly for: string
  readonly summary: string
  readonly description: string
  /** Heading in docs/troubleshooting.md. */
  readonly runbook: string
}

const mark = (threshold: keyof Thresholds): string => `@${threshold}@`
const namespaceMark = '@namespace@'
const here = { namespace: `="${namespaceMark}"` } as const

const window = '5m'
const by = ['namespace', 'model'] as const
const isFailure = '=~"failed|expired|refused|aborted"'

const asked = perSecond(routerMetrics.requests, { where: here, by, window })
const failed = perSecond(routerMetrics.requests, { where: { ...here, outcome: isFailure }, by, window })
/** A pair without a single failure has no such series: zero, not nothing. */
const errorRatio = `(${failed} or ${asked} * 0) / (${asked} > 0)`

const good = perSecond(routerMetrics.sloGood, { where: here, by, window: '30m' })
const lost = perSecond(routerMetrics.sloLost, { where: here, by, window: '30m' })
const judged = `((${good} or ${lost} * 0) + (${lost} or ${good} * 0))`

const live = gauge(routerMetrics.workers, { where: { ...here, state: '="live"' }, by, over: 'max' })
const wanted = `(${gauge(routerMetrics.queueDepth, { where: here, by, over: 'sum' })} > 0 or ${increase(routerMetrics.requests, { where: { ...here, outcome: isFailure }, by, window })} > 0)`

const ofWorker = ['namespace', 'model_name'] as const
const drafted = perSecond(workerMetrics.draftTokens, { where: here, by: ofWorker, window: '15m' })
const accepted = perSecond(workerMetrics.acceptedTokens, { where: here, by: ofWorker, window: '15m' })

const backingOff = perSecond(operatorMetrics.reconciles, {
  where: { ...here, result: '="back-off"' },
  by: ['namespace'],
  window: '10m',
})
const reconciles = perSecond(operatorMetrics.reconciles, { where: here, by: ['namespace'], window: '10m' })

const errorAlert = (severity: Alert['severity'], threshold: keyof Thresholds): Alert => ({
  name: severity === 'critical' ? 'PacelineErrorRatioCritical' : 'PacelineErrorRatio',
  severity,
  value: errorRatio,
  bound: `> ${mark(threshold)}`,
  for: '5m',
  summary: 'Requests to {{ $labels.model }} fail',
  description:
    '{{ $value | humanizePercentage }} of the requests to {{ $labels.model }} failed, expired, were refused or cut off.',
  runbook: 'Requests fail',
})

export const alerts: readonly Alert[] = [
  errorAlert('warning', 'errorRatioWarning'),
  errorAlert('critical', 'errorRatioCritical'),
  {
    name: 'PacelineNoReadyWorker',
    severity: 'critical',
    value: live,
    bound: `== 0 and on (namespace, model) ${wanted}`,
    for: '2m',
    summary: 'Nobody serves {{ $labels.model }}',
    description: 'Requests for {{ $labels.model }} wait or fail, and no worker of it is live.',
    runbook: 'No worker is ready',
  },
  {
    name: 'PacelineGoodputBelowTarget',
    severity: 'warning',
    value: `(${good} or ${lost} * 0) / (${judged} > 0)`,
    bound: `< ${mark('goodputTarget')}`,
    for: '15m',
    summary: '{{ $labels.model }} misses its SLO',
    description:
      'Only {{ $value | humanizePercentage }} of the requests to {{ $labels.model }} met their SLO in half an hour.',
    runbook: 'Goodput is below its target',
  },
  {
    name: 'PacelineAcceptanceCollapse',
    severity: 'warning',
    value: `${accepted} / (${drafted} > 0)`,
    bound: `< ${mark('acceptanceMin')} and on (namespace, model_name) ${drafted} > 1`,
    for: '15m',
    summary: 'Drafting for {{ $labels.model_name }} is wasted',
    description:
      'The target accepts only {{ $value | humanizePercentage }} of what is drafted for {{ $labels.model_name }}.',
    runbook: 'Acceptance has collapsed',
  },
  {
    name: 'PacelineReconcileErrors',
    severity: 'warning',
    value: `(${backingOff} or ${reconciles} * 0) / (${reconciles} > 0)`,
    bound: '> 0.5',
    for: '15m',
    summary: 'The operator makes no progress',
    description: '{{ $value | humanizePercentage }} of its reconciles end in an error and are tried again.',
    runbook: 'The operator makes no progress',
  },
  {
    name: 'PacelineReconcileStalled',
    severity: 'warning',
    value: gauge(operatorMetrics.deployments, {
      where: { ...here, state: '="degraded"' },
      by: ['namespace'],
      over: 'max',
    }),
    bound: '> 0',
    for: '30m',
    summary: 'A pair is degraded',
    description: '{{ $value }} pairs have been degraded for half an hour; their conditions say why.',
    runbook: 'A pair is degraded',
  },
  {
    name: 'PacelineCascadeUnproved',
    severity: 'warning',
    value: gauge(operatorMetrics.routeGuarantee, {
      where: here,
      by: ['namespace', 'route', 'deployment'],
      over: 'min',
    }),
    bound: '== 0',
    for: '15m',
    summary: 'Nothing that {{ $labels.deployment }} says is kept by {{ $labels.route }}',
    description:
      'The calibration of this step is missing, stale, or broken by newer labels: every request goes on to the next step, at its cost.',
    runbook: 'A cascade keeps nothing',
  },
  {
    name: 'PacelineNoLeader',
    severity: 'critical',
    value: gauge(operatorMetrics.leader, { where: here, by: ['namespace'], over: 'max' }),
    bound: '== 0',
    for: '2m',
    summary: 'No operator leads',
    description: 'Operators run, but none holds the lease: pairs are served, and no change or crash is acted on.',
    runbook: 'No operator leads',
  },
  {
    name: 'PacelineBusDisconnected',
    severity: 'critical',
    value: gauge(routerMetrics.natsConnected, { where: here, by: ['namespace', 'pod'], over: 'min' }),
    bound: '== 0',
    for: '1m',
    summary: '{{ $labels.pod }} has no connection to NATS',
    description: 'The router answers 503 and its running streams wait.',
    runbook: 'NATS cannot be reached',
  },
  ...(
    [
      ['Router', absent(routerMetrics.natsConnected, here)],
      ['Operator', absent(operatorMetrics.workqueueDepth, here)],
    ] as const
  ).map(
    ([part, value]): Alert => ({
      name: `Paceline${part}MetricsMissing`,
      severity: 'critical',
      value,
      bound: '== 1',
      for: '5m',
      summary: `No metrics of the ${part.toLowerCase()}`,
      description: `No ${part.toLowerCase()} of this release has been scraped for five minutes: it is gone, or Prometheus does not find it.`,
      runbook: 'Metrics are missing',
    }),
  ),
]

/** As GitHub makes it from a heading. */
export const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^a-z0-9 -]/g, '')
    .replaceAll(' ', '-')

/** The rules file, marks and all. */
export function alertRules(): string {
  const rules = alerts.map((alert) => ({
    alert: alert.name,
    expr: expressionOf(alert),
    for: alert.for,
    labels: { severity: alert.severity },
    annotations: {
      summary: alert.summary,
      description: alert.description,
      runbook_url: `@runbookUrl@#${anchorOf(alert.runbook)}`,
    },
  }))
  const header =
    '# Generated from charts/monitoring/alerts.ts by `npm run generate`; edit that instead. @…@ are filled in by the chart.\n'
  return header + stringify({ groups: [{ name: 'paceline', rules }] }, { lineWidth: 0 })
}

export const expressionOf = ({ value, bound }: Alert): string => `${value} ${bound}`

/** What the chart does with the marks, for tests. */
export function withMarks(text: string, marks: Readonly<Record<string, string | number>>): string {
  return Object.entries(marks).reduce((filled, [name, value]) => filled.replaceAll(`@${name}@`, String(value)), text)
}
