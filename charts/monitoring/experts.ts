/** The dashboard for "who computes what, and what do adapters cost?": experts chosen and waiting, gates, switches, loads and memory. */
import { routerMetrics as router, workerMetrics as worker } from '#contracts/metrics.ts'
import { dashboard, type PanelOptions, scope, window } from './panels.ts'
import { gauge, mean, perSecond, quantile } from './promql.ts'

const asked = scope.router
const where = scope.worker
const generated = perSecond(worker.generationTokens, { where, window, by: ['model_name'] })

const choices: readonly PanelOptions[] = [
  {
    title: 'Requests by expert',
    description: 'Who computes them; base is the model without an expert.',
    unit: 'reqps',
    lines: [
      {
        query: perSecond(router.expertRequests, { where: asked, window, by: ['model', 'expert'] }),
        legend: '{{model}}: {{expert}}',
      },
    ],
  },
  {
    title: 'Why this expert',
    description:
      'named: the client said so. gated, remembered: the gate did. Without an expert: unsure; late: no worker answered in time; no-worker, too-many: none could be asked; no-text: nothing to gate.',
    unit: 'reqps',
    lines: [
      {
        query: perSecond(router.expertRequests, { where: asked, window, by: ['model', 'cause'] }),
        legend: '{{model}}: {{cause}}',
      },
    ],
  },
  {
    title: 'Waiting by expert',
    description: 'In routers. One that grows while others do not has more requests than its share of turns serves.',
    unit: 'short',
    lines: [
      {
        query: gauge(router.expertQueue, { where: asked, by: ['model', 'expert'], over: 'sum' }),
        legend: '{{model}}: {{expert}}',
      },
    ],
  },
  {
    title: 'Time of the gate',
    description: 'From asking to the answer, where one came in time. It is part of the time to the first token.',
    unit: 's',
    lines: [
      {
        query: quantile(router.gateSeconds, 0.95, { where: asked, window, by: ['model'] }),
        legend: '{{model}} (p95)',
      },
    ],
  },
]

const turns: readonly PanelOptions[] = [
  {
    title: 'Switches per 1,000 tokens',
    description:
      'How often another adapter was attached. High: little waits of each expert, or the age guard is pressed.',
    unit: 'short',
    lines: [
      {
        query: `1000 * ${perSecond(worker.expertSwitches, { where, window, by: ['model_name'] })} / (${generated} > 0)`,
        legend: '{{model_name}}',
      },
    ],
  },
  {
    title: 'Adapters loaded',
    description:
      'needed: its turn had come and waited for it. ahead: loaded beside the turn before. start: tried at the start.',
    unit: 'ops',
    lines: [
      {
        query: perSecond(worker.expertLoads, { where, window, by: ['model_name', 'cause'] }),
        legend: '{{model_name}} {{cause}}',
      },
      {
        query: perSecond(worker.expertYields, { where, window, by: ['model_name'] }),
        legend: '{{model_name}} gave way to the age guard',
      },
    ],
  },
  {
    title: 'Time of a load',
    description: 'Reading an adapter into memory.',
    unit: 's',
    lines: [
      {
        query: mean(worker.expertLoadSeconds, { where, window, by: ['model_name'] }),
        legend: '{{model_name}} (mean)',
      },
    ],
  },
  {
    title: 'Adapters in memory',
    description: 'Of all workers of a pair; each keeps at most spec.expertMemoryMiB.',
    unit: 'bytes',
    lines: [{ query: gauge(worker.expertBytes, { where, by: ['model_name'], over: 'sum' }), legend: '{{model_name}}' }],
  },
  {
    title: 'At work and refused',
    description:
      'Workers by the adapters whose requests run; refused: adapters that cannot be used, condition ExpertsReady says why.',
    unit: 'short',
    lines: [
      {
        query: gauge(worker.loraInfo, { where: scope.part, by: ['running_lora_adapters'], over: 'sum' }),
        legend: 'running: {{running_lora_adapters}}',
      },
      {
        query: gauge(worker.expertsRefused, { where, by: ['model_name'], over: 'max' }),
        legend: '{{model_name}} refused',
      },
    ],
  },
]

export const expertsDashboard = dashboard({
  uid: 'paceline-experts',
  title: 'Paceline / Experts',
  description:
    'Which experts compute the requests of a pair, who waits for them, and what switching and loading adapters costs.',
  withModel: true,
  sections: [
    { title: 'Choices', panels: choices },
    { title: 'Turns', panels: turns },
  ],
})
