/** The dashboard for "what do the routes do?": who gets their requests and why, how those end, and what deciding costs. */
import { routerMetrics as router } from '#contracts/metrics.ts'
import { dashboard, type PanelOptions, scope, window } from './panels.ts'
import { perSecond, quantile } from './promql.ts'

const where = scope.part

const routes: readonly PanelOptions[] = [
  {
    title: 'Requests by route and deployment',
    description: 'Which deployment was chosen. A share that is not the one of the ModelRoute: see the causes.',
    unit: 'reqps',
    lines: [
      {
        query: perSecond(router.routeDecisions, { where, window, by: ['route', 'deployment'] }),
        legend: '{{route}} → {{deployment}}',
      },
    ],
  },
  {
    title: 'Why',
    description:
      'session, share, direct: as declared. stand-in: the turn of a deployment that cannot answer. none-ready, none-exists: nobody can.',
    unit: 'reqps',
    lines: [
      {
        query: perSecond(router.routeDecisions, { where, window, by: ['route', 'cause'] }),
        legend: '{{route}}: {{cause}}',
      },
    ],
  },
  {
    title: 'Outcome by deployment',
    description:
      'How the requests of each deployment behind a route ended: a canary that fails more than the others shows here.',
    unit: 'reqps',
    lines: [
      {
        query: perSecond(router.routeRequests, { where, window, by: ['route', 'deployment', 'outcome'] }),
        legend: '{{route}} → {{deployment}}: {{outcome}}',
      },
    ],
  },
  {
    title: 'Time to decide',
    description: '95 % take less; by strategy. It is part of the time to the first token.',
    unit: 's',
    lines: [
      {
        query: quantile(router.routeDecisionSeconds, 0.95, { where, window, by: ['strategy'] }),
        legend: '{{strategy}} (p95)',
      },
    ],
  },
]

const picks: readonly PanelOptions[] = [
  {
    title: 'Why this worker',
    description:
      'held: it has part of the prompt. meeting: nobody has; requests that begin alike meet. cheapest: least time. only: nobody else had room; where that grows, workers are full.',
    unit: 'reqps',
    lines: [
      { query: perSecond(router.picks, { where, window, by: ['model', 'cause'] }), legend: '{{model}}: {{cause}}' },
    ],
  },
  {
    title: 'Prompt tokens held, as predicted and as found',
    description:
      'Share of all prompt tokens. Found below predicted: prefixes are gone when their requests come (larger engine.prefixCacheMiB) or texts that look alike differ in tokens.',
    unit: 'percentunit',
    lines: [
      { query: shareOfPrompts(router.predictedCachedTokens), legend: '{{model}}: predicted' },
      { query: shareOfPrompts(router.cachedTokens), legend: '{{model}}: found' },
    ],
  },
  {
    title: 'Spans of traces',
    description:
      'Only while router.tracing is on. failed: the receiver does not take them; dropped: more than it takes.',
    unit: 'ops',
    lines: [{ query: perSecond(router.spans, { where, window, by: ['outcome'] }), legend: '{{outcome}}' }],
  },
]

function shareOfPrompts(tokens: typeof router.predictedCachedTokens | typeof router.cachedTokens): string {
  const all = perSecond(router.promptTokens, { where, window, by: ['model'] })
  return `${perSecond(tokens, { where, window, by: ['model'] })} / ${all}`
}

export const routesDashboard = dashboard({
  uid: 'paceline-routes',
  title: 'Paceline / Routes',
  description: 'Who gets the requests of each ModelRoute, why, and how they end.',
  withModel: false,
  sections: [
    { title: 'Routes', panels: routes },
    { title: 'Which worker', panels: picks },
  ],
})
