/** The dashboard for "is the service well?": SLO goodput and where it is lost, latency as clients feel it, queues, workers. */
import { routerMetrics as router } from '#contracts/metrics.ts'
import { dashboard, type PanelOptions, scope, window } from './panels.ts'
import { gauge, perSecond, quantile } from './promql.ts'

const where = scope.router
const isFailure = '=~"failed|expired|refused|aborted"'

const good = perSecond(router.sloGood, { where, window })
const lost = `(${perSecond(router.sloLost, { where, window })} or vector(0))`
const goodOf = perSecond(router.sloGood, { where, window, by: ['model'] })
const all = perSecond(router.requests, { where, window })
const bad = `(${perSecond(router.requests, { where: { ...where, outcome: isFailure }, window })} or vector(0))`

const figures: readonly PanelOptions[] = [
  {
    title: 'SLO goodput',
    description: 'Requests per second that met every limit of their SLO: what the service is measured by.',
    unit: 'reqps',
    figure: true,
    lines: [{ query: good, legend: 'good' }],
  },
  {
    title: 'Share within SLO',
    description: 'Good requests among all that count. Where it falls, see the causes below.',
    unit: 'percentunit',
    figure: true,
    lines: [{ query: `${good} / (${good} + ${lost})`, legend: 'share' }],
  },
  {
    title: 'Failed requests',
    description: 'Share of requests that failed, expired, were refused or cut off.',
    unit: 'percentunit',
    figure: true,
    lines: [{ query: `${bad} / ${all}`, legend: 'failed' }],
  },
  {
    title: 'Running',
    description: 'Requests dispatched and not yet ended.',
    unit: 'short',
    figure: true,
    lines: [{ query: gauge(router.running, { where, over: 'sum' }), legend: 'running' }],
  },
  {
    title: 'Waiting',
    description: 'Requests in the queues of all routers.',
    unit: 'short',
    figure: true,
    lines: [{ query: gauge(router.queueDepth, { where, over: 'sum' }), legend: 'waiting' }],
  },
  {
    title: 'Live workers',
    description: 'As the router that sees fewest counts them.',
    unit: 'short',
    figure: true,
    lines: [
      {
        query: `sum(${gauge(router.workers, { where: { ...where, state: '="live"' }, by: ['namespace', 'model'], over: 'min' })})`,
        legend: 'live',
      },
    ],
  },
]

const goodput: readonly PanelOptions[] = [
  {
    title: 'Goodput by pair',
    description: 'Requests per second within their SLO.',
    unit: 'reqps',
    lines: [{ query: goodOf, legend: '{{model}}' }],
  },
  {
    title: 'Lost goodput by cause',
    description:
      'refused, expired: capacity. late-first-token: queue or long prompts. late-tokens: too many slots for the SLO. failed: see the logs.',
    unit: 'reqps',
    lines: [{ query: perSecond(router.sloLost, { where, window, by: ['cause'] }), legend: '{{cause}}' }],
  },
  {
    title: 'Requests by outcome',
    description: 'Everything that was asked for, as it ended.',
    unit: 'reqps',
    lines: [{ query: perSecond(router.requests, { where, window, by: ['outcome'] }), legend: '{{outcome}}' }],
  },
  {
    title: 'Tokens for clients',
    description: 'Prompt tokens, those of them restored from a prefix cache, and tokens generated, per second.',
    unit: 'short',
    lines: [
      { query: perSecond(router.promptTokens, { where, window }), legend: 'prompt' },
      { query: perSecond(router.cachedTokens, { where, window }), legend: 'of them cached' },
      { query: perSecond(router.completionTokens, { where, window }), legend: 'generated' },
    ],
  },
]

const latencyPanel = (
  title: string,
  metric: (typeof router)['timeToFirstToken' | 'interToken' | 'queueWait' | 'duration'],
  description: string,
): PanelOptions => ({
  title,
  description,
  unit: 's',
  lines: [0.5, 0.95, 0.99].map((share) => ({
    query: quantile(metric, share, { where, window }),
    legend: `p${share * 100}`,
  })),
})

const latency: readonly PanelOptions[] = [
  latencyPanel(
    'Time to first token',
    router.timeToFirstToken,
    'From arrival to the first token written; streams only.',
  ),
  latencyPanel('Between tokens', router.interToken, 'Between two deltas written to one client.'),
  latencyPanel('Queue wait', router.queueWait, 'From arrival to dispatch. It grows before anything else does.'),
  latencyPanel('Whole request', router.duration, 'From arrival to the last byte.'),
]

const queues: readonly PanelOptions[] = [
  {
    title: 'Waiting by pair',
    description: 'Each router bounds this; what does not fit is refused.',
    unit: 'short',
    lines: [{ query: gauge(router.queueDepth, { where, by: ['model'], over: 'sum' }), legend: '{{model}}' }],
  },
  {
    title: 'Workers by state',
    description: 'suspect: silent for a second. loading: not ready yet. draining: leaving.',
    unit: 'short',
    lines: [{ query: gauge(router.workers, { where, by: ['state'], over: 'max' }), legend: '{{state}}' }],
  },
  {
    title: 'Held for a sleeping pair',
    description: 'Requests that wait while their pair scales up from zero, and how long 95 % of them waited.',
    unit: 'short',
    lines: [
      { query: gauge(router.held, { where, by: ['model'], over: 'sum' }), legend: '{{model}} held' },
      {
        query: quantile(router.holdSeconds, 0.95, { where, window, by: ['model'] }),
        legend: '{{model}} seconds (p95)',
      },
    ],
  },
  {
    title: "The router's own time",
    description: 'From the body read to the dispatch, queueing excluded.',
    unit: 's',
    lines: [0.5, 0.99].map((share) => ({
      query: quantile(router.dispatchOverhead, share, { where, window }),
      legend: `p${share * 100}`,
    })),
  },
  {
    title: 'Faults that were mended',
    description: 'Dispatches tried again, events asked for again, slow readers paused, reconnects to NATS.',
    unit: 'ops',
    lines: [
      { query: perSecond(router.retries, { where, window, by: ['cause'] }), legend: 'retry: {{cause}}' },
      { query: perSecond(router.resends, { where: scope.part, window, by: ['cause'] }), legend: 're-send: {{cause}}' },
      { query: perSecond(router.backpressure, { where: scope.part, window }), legend: 'slow reader' },
      { query: perSecond(router.natsReconnects, { where: scope.part, window }), legend: 'reconnect' },
    ],
  },
]

export const overview = dashboard({
  uid: 'paceline-overview',
  title: 'Paceline / Overview',
  description: 'SLO goodput and its losses, latency, queues.',
  withModel: true,
  sections: [
    { title: 'Now', panels: figures },
    { title: 'Goodput', panels: goodput },
    { title: 'Latency as clients feel it', panels: latency },
    { title: 'Queues and workers', panels: queues },
  ],
})
