/** What a person watches of risk routes: what the scores look like, what is done by them, what each source says, and what is kept. */
import { routerMetrics as router } from '#contracts/metrics.ts'
import { type PanelOptions, scope, type Section, window } from './panels.ts'
import { mean, perSecond, quantile } from './promql.ts'

const where = scope.part

const votes = perSecond(router.riskVotes, { where, window, by: ['route', 'source'] })
const against = perSecond(router.riskVotes, {
  where: { ...where, vote: '="disagrees"' },
  window,
  by: ['route', 'source'],
})
const silent = perSecond(router.riskVotes, {
  where: { ...where, vote: '="abstains"' },
  window,
  by: ['route', 'source'],
})
/** A source that never said this has no such series: zero, not nothing. */
const share = (part: string) => `(${part} or ${votes} * 0) / (${votes} > 0)`

const panels: readonly PanelOptions[] = [
  {
    title: 'Risk of first answers',
    description:
      'As the calibration has it. A median that moves says that questions or model have changed: calibrate anew.',
    unit: 'percentunit',
    lines: [
      { query: quantile(router.riskScores, 0.5, { where, window, by: ['route'] }), legend: '{{route}} median' },
      { query: quantile(router.riskScores, 0.9, { where, window, by: ['route'] }), legend: '{{route}} p90' },
      { query: mean(router.riskScores, { where, window, by: ['route'] }), legend: '{{route}} mean: expected errors' },
    ],
  },
  {
    title: 'What is done',
    description:
      'answer: given. reprompt: asked for again. escalate: the other deployment answers. uncalibrated: nothing fits, see the route’s status; unscored: no label or no embedding.',
    unit: 'reqps',
    lines: [
      {
        query: perSecond(router.riskDecisions, { where, window, by: ['route', 'action', 'cause'] }),
        legend: '{{route}}: {{action}}, {{cause}}',
      },
    ],
  },
  {
    title: 'Against the answer',
    description: 'Share of a source’s votes that are for another label. One that is near 0 or 1 tells nothing apart.',
    unit: 'percentunit',
    lines: [{ query: share(against), legend: '{{route}} {{source}}' }],
  },
  {
    title: 'Abstentions',
    description:
      'Share of answers of which a source says nothing. One that rises to 1 has broken: an embedding, a judge, a check that is late.',
    unit: 'percentunit',
    lines: [{ query: share(silent), legend: '{{route}} {{source}}' }],
  },
  {
    title: 'Checks given up',
    description:
      'Expressions, schemas or redactions that took too long. The router’s log names the one that is asked no more.',
    unit: 'reqps',
    lines: [{ query: perSecond(router.riskLateChecks, { where, window }), legend: 'late' }],
  },
  {
    title: 'Time to score',
    description:
      'Once votes and embedding are there. The answer itself, samples, judge and embedding are requests and count where they run.',
    unit: 's',
    lines: [
      { query: quantile(router.riskScoreSeconds, 0.95, { where, window, by: ['route'] }), legend: '{{route}} (p95)' },
    ],
  },
  {
    title: 'Kept to calibrate with',
    description: 'Where routes ask for it. dropped: the disk is behind. without-texts: too long with them.',
    unit: 'reqps',
    lines: [
      {
        query: perSecond(router.trafficExamples, { where, window, by: ['route', 'kept'] }),
        legend: '{{route}}: {{kept}}',
      },
    ],
  },
]

export const riskSection: Section = { title: 'Risk', panels }
