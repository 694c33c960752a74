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
  routeFirstText: define({
    name: 'paceline_route_first_text_seconds',
    kind: 'histogram',
    help: 'From a request to a ModelRoute to the first bytes of its answer, whatever was asked and judged before, by the deployment that answered.',
    labels: ['route', 'deployment'],
    buckets: buckets.ttft,
  }),
  cascadeSteps: define({
    name: 'paceline_cascade_steps_total',
    kind: 'counter',
    help: 'Steps of cascades that were decided: keep, escalate or refuse, and why; guaranteed: the calibrated error rate is about this answer; mode: live, or shadow where nothing followed from it.',
    labels: ['route', 'deployment', 'action', 'cause', 'guaranteed', 'mode'],
  }),
  cascadeScore: define({
    name: 'paceline_cascade_score',
    kind: 'histogram',
    help: 'How a judge ranks answers of a step among its references, from -1 to 1; over the threshold an answer is kept.',
    labels: ['route', 'deployment'],
    buckets: [-0.8, -0.6, -0.4, -0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
  }),
  cascadeJudgeSeconds: define({
    name: 'paceline_cascade_judge_seconds',
    kind: 'histogram',
    help: 'From asking a judge about an answer to its score.',
    labels: ['route', 'judge'],
    buckets: buckets.ttft,
  }),
} as const satisfies Record<string, MetricDefinition>
