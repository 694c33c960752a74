/** The dashboard for "what does this pair do with its time?": speculation, KV cells, prefix cache, cost of a step. */
import { workerMetrics as worker } from '#contracts/metrics.ts'
import { dashboard, type PanelOptions, scope, window } from './panels.ts'
import { gauge, increase, mean, observationsPerSecond, perSecond, quantile } from './promql.ts'

const where = scope.worker
const accepted = perSecond(worker.acceptedTokens, { where, window, by: ['model_name'] })
const drafted = perSecond(worker.draftTokens, { where, window, by: ['model_name'] })
const sampled = perSecond(worker.acceptanceSampled, { where, window, by: ['model_name'] })
const best = perSecond(worker.acceptanceBest, { where, window, by: ['model_name'] })
const rounds = perSecond(worker.draftRounds, { where, window, by: ['model_name'] })

const speculation: readonly PanelOptions[] = [
  {
    title: 'Acceptance rate',
    description: 'Share of drafted tokens that the target accepted. No curve: nothing was drafted.',
    unit: 'percentunit',
    lines: [{ query: `${accepted} / (${drafted} > 0)`, legend: '{{model_name}}' }],
  },
  {
    title: 'Tokens gained per verify step',
    description: 'Acceptance length, the bonus token included. 1 means that drafting gains nothing.',
    unit: 'short',
    lines: [
      { query: `1 + ${accepted} / (${rounds} > 0)`, legend: '{{model_name}}' },
      {
        query: quantile(worker.acceptanceLength, 0.95, { where, window, by: ['model_name'] }),
        legend: '{{model_name}} p95',
      },
    ],
  },
  {
    title: 'Acceptance against the best possible',
    description:
      'Measured / α*, over a sample of judged places: 1 where no verifier could have accepted more of the same drafts. Scatters around it.',
    unit: 'percentunit',
    lines: [{ query: `${sampled} / (${best} > 0)`, legend: '{{model_name}}' }],
  },
  {
    title: 'Accepted by position',
    description: 'Of the drafts verified, how many were right up to this token, from 0.',
    unit: 'percentunit',
    lines: [
      {
        query: `${perSecond(worker.acceptedByPosition, { where, window, by: ['model_name', 'position'] })} / on (model_name) group_left () (${rounds} > 0)`,
        legend: '{{model_name}} {{position}}',
      },
    ],
  },
  {
    title: 'Drafted and accepted',
    description: 'Tokens per second.',
    unit: 'short',
    lines: [
      { query: drafted, legend: '{{model_name}} drafted' },
      { query: accepted, legend: '{{model_name}} accepted' },
    ],
  },
  {
    title: 'Draft length chosen',
    description: 'Tokens that the controller has verified per running sequence and step; 0: drafting does not pay.',
    unit: 'short',
    lines: [
      { query: mean(worker.draftLength, { where, window, by: ['model_name'] }), legend: '{{model_name}} mean' },
      {
        query: quantile(worker.draftLength, 0.95, { where, window, by: ['model_name'] }),
        legend: '{{model_name}} p95',
      },
    ],
  },
  {
    title: 'Who proposes',
    description: 'Drafts verified per second.',
    unit: 'short',
    lines: [
      {
        query: perSecond(worker.draftsByMethod, { where, window, by: ['model_name', 'method'] }),
        legend: '{{model_name}} {{method}}',
      },
    ],
  },
  {
    title: 'Proposers given up',
    description: 'They failed or answered nonsense; the pair serves without them. `DraftReady` says why.',
    unit: 'short',
    lines: [
      {
        query: increase(worker.proposersDropped, { where, window, by: ['model_name', 'method'] }),
        legend: '{{model_name}} {{method}}',
      },
    ],
  },
  {
    title: 'Time for refused drafts',
    description: 'Share of time spent on proposing and verifying tokens that the target refused.',
    unit: 'percentunit',
    lines: [
      {
        query: perSecond(worker.wastedDraftSeconds, { where, window, by: ['model_name'] }),
        legend: '{{model_name}}',
      },
    ],
  },
  {
    title: 'Token goodput',
    description: 'Tokens generated per second by all workers of the pair.',
    unit: 'short',
    lines: [
      {
        query: perSecond(worker.generationTokens, { where, window, by: ['model_name', 'engine'] }),
        legend: '{{model_name}} ({{engine}})',
      },
    ],
  },
]

const cells: readonly PanelOptions[] = [
  {
    title: 'KV cells in use',
    description: 'Share of each worker. Near 1 new requests wait, and running ones may lose their cells.',
    unit: 'percentunit',
    lines: [
      {
        query: gauge(worker.kvCacheUsage, { where, by: ['model_name', 'pod', 'instance'], over: 'max' }),
        legend: '{{pod}}{{instance}}',
      },
    ],
  },
  {
    title: 'Sequences',
    description: 'Running hold a slot; waiting were accepted and have none yet.',
    unit: 'short',
    lines: [
      {
        query: gauge(worker.requestsRunning, { where, by: ['model_name'], over: 'sum' }),
        legend: '{{model_name}} running',
      },
      {
        query: gauge(worker.requestsWaiting, { where, by: ['model_name'], over: 'sum' }),
        legend: '{{model_name}} waiting',
      },
    ],
  },
  {
    title: 'Preemptions',
    description:
      'Sequences per second whose cells were taken and computed again later: too little memory for the load.',
    unit: 'ops',
    lines: [{ query: perSecond(worker.preemptions, { where, window, by: ['model_name'] }), legend: '{{model_name}}' }],
  },
  {
    title: 'Cache type',
    description: 'Workers by the type of their KV cells.',
    unit: 'short',
    lines: [
      {
        query: gauge(worker.cacheConfig, { where, by: ['model_name', 'cache_dtype'], over: 'sum' }),
        legend: '{{model_name}} {{cache_dtype}}',
      },
    ],
  },
]

const prefix: readonly PanelOptions[] = [
  {
    title: 'Prefix cache hits',
    description: 'Share of looked-up prompt tokens that were restored instead of computed.',
    unit: 'percentunit',
    lines: [
      {
        query: `${perSecond(worker.prefixCacheHits, { where, window, by: ['model_name'] })} / (${perSecond(worker.prefixCacheQueries, { where, window, by: ['model_name'] })} > 0)`,
        legend: '{{model_name}}',
      },
    ],
  },
  {
    title: 'Prefix cache memory',
    description: 'Host memory of saved sequence states.',
    unit: 'bytes',
    lines: [
      { query: gauge(worker.prefixCacheBytes, { where, by: ['model_name'], over: 'sum' }), legend: '{{model_name}}' },
    ],
  },
]

const cost: readonly PanelOptions[] = [
  {
    title: 'Time of one step, by phase',
    description: 'Mean. Nearly all of it should be decode.',
    unit: 's',
    lines: [
      {
        query: mean(worker.stepSeconds, { where, window, by: ['model_name', 'phase'] }),
        legend: '{{model_name}} {{phase}}',
      },
    ],
  },
  {
    title: 'Rows per step',
    description:
      'Batch shape: prompt chunks and the tokens of each running sequence. Read it beside the time of a step: both are the cost curve.',
    unit: 'short',
    lines: [{ query: mean(worker.iterationTokens, { where, window, by: ['model_name'] }), legend: '{{model_name}}' }],
  },
  {
    title: 'Decode time per row',
    description: 'What one more token in a batch costs at present.',
    unit: 's',
    lines: [
      {
        query: `(${mean(worker.stepSeconds, { where: { ...where, phase: '="decode"' }, window, by: ['model_name'] })}) / (${mean(worker.iterationTokens, { where, window, by: ['model_name'] })})`,
        legend: '{{model_name}}',
      },
    ],
  },
  {
    title: 'Steps and threads',
    description: 'Steps per second, and compute threads in use: `auto` steps back where a neighbour disturbs it.',
    unit: 'short',
    lines: [
      {
        query: observationsPerSecond(worker.iterationTokens, { where, window, by: ['model_name'] }),
        legend: '{{model_name}} steps/s',
      },
      { query: gauge(worker.threads, { where, by: ['model_name'], over: 'max' }), legend: '{{model_name}} threads' },
    ],
  },
  {
    title: 'Prefill and decode of a request',
    description: '95 % of requests stay below.',
    unit: 's',
    lines: [
      {
        query: quantile(worker.prefillTime, 0.95, { where, window, by: ['model_name'] }),
        legend: '{{model_name}} prefill',
      },
      {
        query: quantile(worker.decodeTime, 0.95, { where, window, by: ['model_name'] }),
        legend: '{{model_name}} decode',
      },
      {
        query: quantile(worker.queueTime, 0.95, { where, window, by: ['model_name'] }),
        legend: '{{model_name}} wait for a slot',
      },
    ],
  },
  {
    title: 'Events sent again',
    description: 'Routers asked for them after a gap or a silence.',
    unit: 'ops',
    lines: [{ query: perSecond(worker.resends, { where, window, by: ['model_name'] }), legend: '{{model_name}}' }],
  },
]

export const pair = dashboard({
  uid: 'paceline-pair',
  title: 'Paceline / Pair',
  description: 'Speculation, KV cells, prefix cache and the cost of a step.',
  withModel: true,
  sections: [
    { title: 'Speculation', panels: speculation },
    { title: 'KV cells', panels: cells },
    { title: 'Prefix cache', panels: prefix },
    { title: 'Cost', panels: cost },
  ],
})
