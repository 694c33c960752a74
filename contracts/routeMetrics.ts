/**
 * What routers count of ModelRoutes. `route` and `deployment` are names of resources, so there are as many as somebody made.
 */
import { buckets, define, type MetricDefinition } from './metricDefinition.ts'

export const routeMetrics = {
  routeDecisions: define({
    name: 'paceline_route_decisions_total',
    kind: 'counter',
    help: 'Requests to a ModelRoute by the deployment that was chosen and why (direct, share, session, stand-in, none-ready, none-exists).',
    labels: ['route', 'deployment', 'cause'],
  }),
  routeRequests: define({
    name: 'paceline_route_requests_total',
    kind: 'counter',
    help: 'Requests to a ModelRoute by the deployment that was chosen and their final outcome.',
    labels: ['route', 'deployment', 'outcome'],
  }),
  routeDecisionSeconds: define({
    name: 'paceline_route_decision_seconds',
    kind: 'histogram',
    help: 'What a decision of a ModelRoute takes, by strategy.',
    labels: ['strategy'],
    buckets: buckets.decision,
  }),
} as const satisfies Record<string, MetricDefinition>
