/** The dashboard for "does the operator keep up, and what does it struggle with?" */
import { operatorMetrics as operator } from '#contracts/metrics.ts'
import { dashboard, type PanelOptions, scope, window } from './panels.ts'
import { gauge, increase, perSecond, quantile } from './promql.ts'

const where = scope.operator

const pairs: readonly PanelOptions[] = [
  {
    title: 'Pairs by state',
    description: 'Each pair once. degraded: its condition says why (`kubectl describe pair`).',
    unit: 'short',
    lines: [{ query: gauge(operator.deployments, { where, by: ['state'], over: 'max' }), legend: '{{state}}' }],
  },
  {
    title: 'Workers by state',
    description: 'As the operator sees them.',
    unit: 'short',
    lines: [
      {
        query: gauge(operator.replicas, { where: scope.deployment, by: ['deployment', 'state'], over: 'max' }),
        legend: '{{deployment}} {{state}}',
      },
      {
        query: gauge(operator.replicasWanted, { where: scope.deployment, by: ['deployment'], over: 'max' }),
        legend: '{{deployment}} wanted',
      },
    ],
  },
  {
    title: 'Workers started again',
    description: 'In the last hour, after they ended by themselves.',
    unit: 'short',
    lines: [
      {
        query: increase(operator.restarts, { where: scope.deployment, by: ['deployment'], window: '1h' }),
        legend: '{{deployment}}',
      },
    ],
  },
  {
    title: 'Rollbacks',
    description: 'In the last hour: revisions given up for the last good one. The condition Degraded says why.',
    unit: 'short',
    lines: [
      {
        query: increase(operator.rollbacks, { where: scope.deployment, by: ['deployment'], window: '1h' }),
        legend: '{{deployment}}',
      },
    ],
  },
  {
    title: 'Model downloads',
    description: 'In the last hour, by result, and bytes per second now.',
    unit: 'short',
    lines: [
      { query: increase(operator.downloads, { where, by: ['result'], window: '1h' }), legend: '{{result}}' },
      { query: perSecond(operator.downloadBytes, { where, window }), legend: 'bytes/s' },
    ],
  },
]

const work: readonly PanelOptions[] = [
  {
    title: 'Reconciles by result',
    description: 'back-off: something refused, it is tried again. stalled: a person must act.',
    unit: 'ops',
    lines: [{ query: perSecond(operator.reconciles, { where, window, by: ['result'] }), legend: '{{result}}' }],
  },
  {
    title: 'Time of one reconcile',
    description: 'Calls of the API server included.',
    unit: 's',
    lines: [0.5, 0.99].map((share) => ({
      query: quantile(operator.reconcileSeconds, share, { where, window }),
      legend: `p${share * 100}`,
    })),
  },
  {
    title: 'Keys waiting',
    description: 'More than a few for minutes: the operator does not keep up.',
    unit: 'short',
    lines: [{ query: gauge(operator.workqueueDepth, { where, over: 'max' }), legend: 'waiting' }],
  },
]

const cluster: readonly PanelOptions[] = [
  {
    title: 'Leaders',
    description: 'Operators that lead and write. Anything but 1 for longer than a lease: read their logs.',
    unit: 'short',
    lines: [{ query: gauge(operator.leader, { where, over: 'sum' }), legend: 'leading' }],
  },
  {
    title: 'Requests to the API server',
    description: 'By verb and status. None but lease renewals while nothing changes.',
    unit: 'reqps',
    lines: [
      {
        query: perSecond(operator.apiRequests, { where, window, by: ['verb', 'status'] }),
        legend: '{{verb}} {{status}}',
      },
    ],
  },
  {
    title: 'Watches',
    description: 'Lists, watches begun, events told, errors. Many lists: something cuts the watches.',
    unit: 'ops',
    lines: [{ query: perSecond(operator.watchEvents, { where, window, by: ['kind'] }), legend: '{{kind}}' }],
  },
]

export const operatorDashboard = dashboard({
  uid: 'paceline-operator',
  title: 'Paceline / Operator',
  description: 'Pairs, workers, reconciles.',
  withModel: true,
  sections: [
    { title: 'Pairs', panels: pairs },
    { title: 'Work', panels: work },
    { title: 'Cluster', panels: cluster },
  ],
})
