/** What the pods export: a real Prometheus scrapes them where the monitors of the chart would, and the dashboards have data. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as z from 'zod'
import { dashboards } from '../../charts/monitoring/dashboards.ts'
import { filledIn, panelQueries } from '../../charts/monitoring/queries.ts'
import { at, listAt, render } from '../integration/support/helm.ts'
import {
  findPrometheus,
  type Prometheus,
  type ScrapeTarget,
  startPrometheus,
} from '../integration/support/prometheus.ts'
import type { Paceline } from './paceline.ts'
import { describePaceline } from './sharedPaceline.ts'

const program = findPrometheus()
if (program === null)
  console.warn('nothing scrapes the cluster: no prometheus on PATH or in the cache (npm test gets it)')
const trafficMs = 10_000
const windowSeconds = 60

/** Panel and legend → why this cluster has no such series now. */
const empty: Readonly<Record<string, string>> = {
  'Acceptance rate {{model_name}}': 'no draft: this version drafts nothing yet, and a rate of nothing is not 0',
  'Tokens gained per verify step {{model_name}}': 'the same',
  'Faults that were mended retry: {{cause}}': 'nothing had to be tried again',
  'Faults that were mended re-send: {{cause}}': 'no message was lost',
  'Held for a sleeping pair {{model}} held': 'no pair sleeps',
  'Held for a sleeping pair {{model}} seconds (p95)': 'no pair sleeps',
  'Workers started again {{deployment}}': 'no worker ended by itself',
  'Model downloads {{result}}': 'the simulated engine loads no model',
}
const panels = Object.entries(dashboards).flatMap(([file, dashboard]) =>
  panelQueries(dashboard).map((panel) => ({
    ...panel,
    name: `${file}: ${panel.title} ${panel.legend}`,
    key: `${panel.title} ${panel.legend}`,
  })),
)
const pair = (name: string, slo: string) => `
apiVersion: paceline.dev/v1alpha1
kind: ModelDeployment
metadata: { name: ${name} }
spec:
  replicas: 1
  slo: ${slo}
  engine: { kind: simulated, slots: 4, contextTokensMax: 128, simulated: { stepMs: 5, promptTokensPerSecond: 100000 } }
`
const Pods = z.object({
  items: z.array(
    z.object({ metadata: z.object({ name: z.string() }), status: z.object({ podIP: z.string().optional() }) }),
  ),
})

describePaceline('monitoring', (paceline) => {
  let prometheus: Prometheus | null = null
  const asked = () => {
    if (prometheus === null) throw new Error('Prometheus was not started')
    return prometheus
  }
  beforeAll(async () => {
    if (program === null) return
    await paceline().apply(
      [pair('watched', '{ ttftMs: 1000, tpotMs: 100 }'), pair('late', '{ ttftMs: 1, tpotMs: 1 }')].join('---\n'),
    )
    for (const name of ['watched', 'late']) await paceline().until(name, 'Ready')
    const targets = await targetsOf(paceline())
    prometheus = await startPrometheus(program, targets)
    await traffic(paceline())
    expect(await prometheus.healthy()).toBe(targets.length)
  })
  afterAll(() => prometheus?.stop())

  test.skipIf(program === null).each(panels.filter(({ key }) => !(key in empty)))(
    '$name has data',
    async ({ query }) => {
      const samples = await asked().query(filledIn(query, windowSeconds))
      expect(samples.filter(({ value }) => !Number.isNaN(value)).length, query).toBeGreaterThan(0)
    },
  )

  test.skipIf(program === null)('exactly one operator leads', async () => {
    const leading = panels.find(({ title }) => title === 'Leaders')
    const [sample] = await asked().query(filledIn(leading?.query ?? '', windowSeconds))
    expect(sample?.value).toBe(1)
  })

  test('has nothing on its list of empty panels that is not there', () => {
    expect(Object.keys(empty).filter((key) => !panels.some((panel) => panel.key === key))).toEqual([])
  })
})

/** What the chart's ServiceMonitors and PodMonitor choose, by their own selectors and ports. */
async function targetsOf(paceline: Paceline): Promise<ScrapeTarget[]> {
  const monitoring = { serviceMonitor: { enabled: true }, podMonitor: { enabled: true } }
  const monitors = render({ monitoring }, { namespace: paceline.namespace }).objects.filter(({ apiVersion }) =>
    apiVersion.startsWith('monitoring.'),
  )
  const ports: Readonly<Record<string, number>> = {
    'paceline-operator': 8_081,
    'paceline-router': 8_080,
    'paceline-worker': 9_400,
  }
  const found = await Promise.all(
    monitors.map(async (monitor) => {
      const selector = Object.entries(
        z.record(z.string(), z.string()).parse(at(monitor, 'spec', 'selector', 'matchLabels')),
      )
      const labels = selector.map(([key, value]) => `${key}=${value}`).join(',')
      const { items } = Pods.parse(JSON.parse(await paceline.kubectl('get', 'pods', '-l', labels, '-o', 'json')))
      const path = String(
        at(listAt(monitor, 'spec', 'endpoints')[0] ?? listAt(monitor, 'spec', 'podMetricsEndpoints')[0], 'path'),
      )
      return items.map(({ metadata, status }) => ({
        metricsUrl: `http://${status.podIP}:${ports[monitor.metadata.name]}${path}`,
        labels: { namespace: paceline.namespace, pod: metadata.name },
      }))
    }),
  )
  expect(found.every((list) => list.length > 0)).toBe(true)
  return found.flat()
}

async function traffic(paceline: Paceline): Promise<void> {
  const client = paceline.client()
  const messages = [{ role: 'user' as const, content: 'tell me something that takes a few words' }]
  const until = performance.now() + trafficMs
  for (let round = 0; performance.now() < until; round++) {
    for (const model of ['watched', 'late']) {
      const stream = await client.chat.completions.create({ model, messages, max_tokens: 24, stream: true })
      for await (const chunk of stream) void chunk
    }
    await client.chat.completions.create({ model: 'nobody', messages }).catch(() => undefined)
    // Something for the operator to do.
    const description = JSON.stringify({ metadata: { annotations: { round: String(round) } } })
    await paceline.kubectl('patch', 'pair', 'watched', '--type', 'merge', '-p', description)
    await sleep(200)
  }
}
