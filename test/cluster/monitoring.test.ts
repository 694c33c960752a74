/** What the pods export: a real Prometheus scrapes them where the monitors of the chart would, and the dashboards have data. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as z from 'zod'
import { filledIn } from '../../charts/monitoring/queries.ts'
import { at, listAt, render } from '../integration/support/helm.ts'
import { emptyPanels, type Panel, panels, unknownIn } from '../integration/support/panels.ts'
import {
  findPrometheus,
  type Prometheus,
  type ScrapeTarget,
  startPrometheus,
} from '../integration/support/prometheus.ts'
import { waitFor } from './kit/cluster.ts'
import type { Paceline } from './paceline.ts'
import { describePaceline } from './sharedPaceline.ts'

const program = findPrometheus()
if (program === null)
  console.warn('nothing scrapes the cluster: no prometheus on PATH or in the cache (npm test gets it)')
/** A rate wants two that differ; one more, because work and scrapes keep no step. */
const scrapes = 4
const windowSeconds = 60

/** Asked of a local instance, which has what they show: routes that judge answers, and experts (`test/integration/dashboards.test.ts`). */
const elsewhere = ['cascade-risk.json', 'experts.json']
const asksHere = ({ key, name }: Panel) => !(key in emptyPanels) && !elsewhere.some((file) => name.startsWith(file))

/** Name → objectives; the second one never meets its own. */
const pairs = { watched: '{ ttftMs: 1000, tpotMs: 100 }', late: '{ ttftMs: 1, tpotMs: 1 }' }
const pair = (name: string, slo: string) => `
apiVersion: paceline.dev/v1alpha1
kind: ModelDeployment
metadata: { name: ${name} }
spec:
  replicas: 1
  slo: ${slo}
  speculation: { controller: fixed, draftTokensMax: 4 }
  engine: { kind: simulated, slots: 4, contextTokensMax: 128, simulated: { stepMs: 5, promptTokensPerSecond: 100000, draftTokens: 4 } }
`
const route = `
apiVersion: paceline.dev/v1alpha1
kind: ModelRoute
metadata: { name: watched-route }
spec: { name: either, weighted: [{ deployment: watched, weight: 1 }, { deployment: late, weight: 1 }] }
`
const Pods = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()) }),
      status: z.object({ podIP: z.string().optional() }),
    }),
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
    await paceline().apply([...Object.entries(pairs).map(([name, slo]) => pair(name, slo)), route].join('---\n'))
    for (const name of Object.keys(pairs)) await paceline().until(name, 'Ready')
    const targets = await targetsOf(paceline())
    prometheus = await startPrometheus(program, targets)
    await traffic(paceline(), prometheus)
    const wait = { what: `${targets.length} targets to be scraped`, waitMsMax: 30_000 }
    await waitFor(wait, async () => (await asked().healthy()) === targets.length)
  })
  afterAll(() => prometheus?.stop())

  test.skipIf(program === null).each(panels.filter(asksHere))('$name has data', async ({ query }) => {
    const samples = await asked().query(filledIn(query, windowSeconds))
    expect(samples.filter(({ value }) => !Number.isNaN(value)).length, query).toBeGreaterThan(0)
  })

  test.skipIf(program === null)('exactly one operator leads', async () => {
    const leading = panels.find(({ title }) => title === 'Leaders')
    const [sample] = await asked().query(filledIn(leading?.query ?? '', windowSeconds))
    expect(sample?.value).toBe(1)
  })

  test('has nothing on its list of empty panels that is not there', () => {
    expect(unknownIn(emptyPanels)).toEqual([])
  })
})

/** What the chart's ServiceMonitors and PodMonitor choose, by their own selectors and ports; of workers those of our pairs. */
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
      return items.filter(isOurs).map(({ metadata, status }) => ({
        metricsUrl: `http://${status.podIP}:${ports[monitor.metadata.name]}${path}`,
        labels: { namespace: paceline.namespace, pod: metadata.name },
      }))
    }),
  )
  expect(found.every((list) => list.length > 0)).toBe(true)
  return found.flat()
}

/** Workers of other test files come and go. */
function isOurs({ metadata }: z.infer<typeof Pods>['items'][number]): boolean {
  const deployment = metadata.labels['paceline.dev/deployment']
  return deployment === undefined || deployment in pairs
}

async function traffic(paceline: Paceline, prometheus: Prometheus): Promise<void> {
  const client = paceline.client()
  const messages = [{ role: 'user' as const, content: 'tell me something that takes a few words' }]
  let round = 0
  await prometheus.whileScraped(scrapes, async () => {
    for (const model of Object.keys(pairs)) {
      const stream = await client.chat.completions.create({ model, messages, max_tokens: 24, stream: true })
      for await (const chunk of stream) void chunk
    }
    await client.chat.completions.create({ model: 'either', messages, max_tokens: 4 })
    await client.chat.completions.create({ model: 'nobody', messages }).catch(() => undefined)
    // Something for the operator to do.
    const description = JSON.stringify({ metadata: { annotations: { round: String(++round) } } })
    await paceline.kubectl('patch', 'pair', 'watched', '--type', 'merge', '-p', description)
    await sleep(200)
  })
}
