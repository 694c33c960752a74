/**
 * What routers count of routes with the strategy `risk`. `route` and `source` are names that somebody gave in a resource, so there are as
 * many as somebody made; everything else is the tag of a union.
 */
import { buckets, define, type MetricDefinition } from './metricDefinition.ts'

export const riskMetrics = {
  riskScores: define({
    name: 'paceline_risk_score',
    kind: 'histogram',
    help: 'Chance that the first answer is wrong, as the calibration has it, by route.',
    labels: ['route'],
    buckets: [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1],
  }),
  riskDecisions: define({
    name: 'paceline_risk_decisions_total',
    kind: 'counter',
    help: 'What was done with an answer (answer, reprompt, escalate) and why (sure, doubtful, risky, better, uncalibrated, unscored, several, failed).',
    labels: ['route', 'action', 'cause'],
  }),
  riskVotes: define({
    name: 'paceline_risk_votes_total',
    kind: 'counter',
    help: 'Votes of each source: for the label of the answer (agrees), for another one (disagrees), for none (abstains).',
    labels: ['route', 'source', 'vote'],
  }),
  riskScoreSeconds: define({
    name: 'paceline_risk_score_seconds',
    kind: 'histogram',
    help: 'What the score takes once embedding and votes are there.',
    labels: ['route'],
    buckets: buckets.decision,
  }),
  riskLateChecks: define({
    name: 'paceline_risk_late_checks_total',
    kind: 'counter',
    help: 'Checks of answers (expressions, validators, schemas, redactions) that took too long and were given up.',
    labels: [],
  }),
  trafficExamples: define({
    name: 'paceline_traffic_examples_total',
    kind: 'counter',
    help: 'Answers kept for calibration, by how: kept, without-texts (too long with them), dropped (the disk is behind).',
    labels: ['route', 'kept'],
  }),
} as const satisfies Record<string, MetricDefinition>
