/** What a person watches of cascades: how many answers are kept and why, what the judge says, what is proved of it, and what it costs. */
import { operatorMetrics as operator, routerMetrics as router } from '#contracts/metrics.ts'
import { type PanelOptions, scope, type Section, window } from './panels.ts'
import { gauge, mean, perSecond, quantile } from './promql.ts'

const where = scope.part
const live = { ...where, mode: '="live"' } as const
const step = ['route', 'deployment'] as const

const escalations = perSecond(router.cascadeSteps, { where: { ...live, action: '="escalate"' }, window, by: ['route'] })
const decisions = perSecond(router.cascadeSteps, { where: live, window, by: ['route'] })
const kept = perSecond(router.cascadeSteps, { where: { ...live, action: '="keep"' }, window, by: ['route'] })
const guaranteed = perSecond(router.cascadeSteps, { where: { ...live, guaranteed: '="true"' }, window, by: ['route'] })
/** A route of which nothing was escalated or guaranteed has no such series: zero, not nothing. */
const share = (part: string, whole: string) => `(${part} or ${whole} * 0) / (${whole} > 0)`

const panels: readonly PanelOptions[] = [
  {
    title: 'Steps by decision',
    description:
      'What was done with the answers of each step: kept, passed on, refused. Refusals say that the next step is full or the budget spent.',
    unit: 'reqps',
    lines: [
      {
        query: perSecond(router.cascadeSteps, { where: live, window, by: [...step, 'action'] }),
        legend: '{{route}} {{deployment}}: {{action}}',
      },
    ],
  },
  {
    title: 'Steps by cause',
    description:
      'reliable, unreliable: by score. uncalibrated: nothing is proved. unjudged: the judge failed. too-late, no-worker, over-budget: the next step could not take it.',
    unit: 'reqps',
    lines: [
      {
        query: perSecond(router.cascadeSteps, { where: live, window, by: ['route', 'cause'] }),
        legend: '{{route}}: {{cause}}',
      },
    ],
  },
  {
    title: 'Escalated share',
    description:
      'Of the decided steps. Near 1 the smaller model only costs time; near 0 the larger one is hardly used.',
    unit: 'percentunit',
    lines: [{ query: share(escalations, decisions), legend: '{{route}}' }],
  },
  {
    title: 'Guaranteed share',
    description:
      'Of the answers given: those of which the calibrated error rate speaks. Answers of the last step and those kept for want of room are not among them.',
    unit: 'percentunit',
    lines: [{ query: share(guaranteed, kept), legend: '{{route}}' }],
  },
  {
    title: 'Score',
    description:
      'Median of what the judge says, and the threshold. A median that moves says that the questions have changed: calibrate anew.',
    unit: 'none',
    lines: [
      {
        query: quantile(router.cascadeScore, 0.5, { where, window, by: step }),
        legend: '{{route}} {{deployment}} median',
      },
      {
        query: gauge(operator.routeThreshold, { where, by: step, over: 'max' }),
        legend: '{{route}} {{deployment}} threshold',
      },
    ],
  },
  {
    title: 'Proved',
    description:
      '1: the calibration of the step holds. 0: every answer goes on to the next step; the route’s status says why.',
    unit: 'none',
    lines: [
      { query: gauge(operator.routeGuarantee, { where, by: step, over: 'min' }), legend: '{{route}} {{deployment}}' },
    ],
  },
  {
    title: 'Calibrated error rate',
    description: 'Where the error rate of kept answers lies by the labels of the calibration; and what share it keeps.',
    unit: 'percentunit',
    lines: [
      {
        query: gauge(operator.routeCalibratedErrorRate, { where, by: [...step, 'bound'], over: 'max' }),
        legend: '{{route}} {{deployment}} {{bound}}',
      },
      {
        query: gauge(operator.routeCalibratedKeptShare, { where, by: step, over: 'max' }),
        legend: '{{route}} {{deployment}} kept',
      },
    ],
  },
  {
    title: 'Labels since',
    description:
      'What clients said of kept answers, and how near their errors are to ending the calibration: at 1 nothing is kept any more.',
    unit: 'none',
    lines: [
      {
        query: perSecond(operator.routeLabels, { where, window, by: ['route', 'correct'] }),
        legend: '{{route}} correct: {{correct}} per second',
      },
      {
        query: gauge(operator.routeAlarmShare, { where, by: step, over: 'max' }),
        legend: '{{route}} {{deployment}} alarm',
      },
    ],
  },
  {
    title: 'Time to the first text',
    description:
      'What clients wait for, by the deployment that answered: all that was asked and judged before is part of it. 95 % wait less.',
    unit: 's',
    lines: [
      {
        query: quantile(router.routeFirstText, 0.95, { where, window, by: step }),
        legend: '{{route}} {{deployment}} (p95)',
      },
      {
        query: quantile(router.routeFirstText, 0.5, { where, window, by: step }),
        legend: '{{route}} {{deployment}} (p50)',
      },
    ],
  },
  {
    title: 'Time to judge',
    description: 'From asking the judge to the score. All of it is part of the time to the first token.',
    unit: 's',
    lines: [
      {
        query: quantile(router.cascadeJudgeSeconds, 0.95, { where, window, by: ['judge'] }),
        legend: '{{judge}} (p95)',
      },
      { query: mean(router.cascadeJudgeSeconds, { where, window, by: ['judge'] }), legend: '{{judge}} (mean)' },
    ],
  },
  {
    title: 'In shadow',
    description: 'What routes in shadow mode would have done.',
    unit: 'reqps',
    lines: [
      {
        query: perSecond(router.cascadeSteps, {
          where: { ...where, mode: '="shadow"' },
          window,
          by: ['route', 'action', 'cause'],
        }),
        legend: '{{route}}: {{action}}, {{cause}}',
      },
    ],
  },
]

export const cascadeSection: Section = { title: 'Cascade', panels }
