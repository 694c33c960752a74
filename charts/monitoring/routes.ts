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

export const routesDashboard = dashboard({
  uid: 'paceline-routes',
  title: 'Paceline / Routes',
  description: 'Who gets the requests of each ModelRoute, why, and how they end.',
  withModel: false,
  sections: [{ title: 'Routes', panels: routes }],
})
