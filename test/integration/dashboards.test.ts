/**
 * Every query of every dashboard and alert, asked to a real Prometheus that scrapes a running system under a little traffic: it
 * returns data, or stands in one of the short lists here with the reason why it has none.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { operatorMetrics } from '#contracts/metrics.ts'
import { alerts, withMarks } from '../../charts/monitoring/alerts.ts'
import { filledIn } from '../../charts/monitoring/queries.ts'
import { whyNoNats } from './support/needs.ts'
import { emptyPanels, panels, unknownIn } from './support/panels.ts'
import { quizMap, quizPairs, quizRoute } from './support/quizCascade.ts'
import { riskMap, riskRoute } from './support/quizRisk.ts'
import { findPrometheus, type Prometheus, startPrometheus } from './support/prometheus.ts'
import { gatedTexts, simulatedExperts } from './support/simulatedExperts.ts'
import { freePort, Place, route, type Run, simulated } from './support/started.ts'

const program = findPrometheus()
const reason = whyNoNats() ?? (program === null ? 'no prometheus on PATH or in the cache (npm test gets it)' : null)
if (reason !== null) console.warn(`dashboards are not asked: ${reason}`)

const namespace = 'llm'
/** Longer than the whole traffic: what happened once in it is still in the window when the last panel is asked. */
const windowSeconds = 60
const editMs = 1_500
/** A rate wants two that differ; one more, because work and scrapes keep no step. */
const scrapes = 4

/** Panel (and legend) → why this system has no such series. */
const empty: Readonly<Record<string, string>> = {
  ...emptyPanels,
  'Requests to the API server {{verb}} {{status}}': 'the local platform has no API server',
  'Watches {{kind}}': 'the local platform has no API server',
}
const emptyAlerts: Readonly<Record<string, string>> = {
  PacelineRouterMetricsMissing: 'the router is scraped; the rule tests see it absent',
  PacelineOperatorMetricsMissing: 'the operator is scraped; the rule tests see it absent',
}

const drafting = (name: string, more = '') =>
  simulated(name, `speculation: { controller: fixed, draftTokensMax: 4 }\n  ${more}`).replace(
    'promptTokensPerSecond',
    'draftTokens: 4, promptTokensPerSecond',
  )

const Described = z.object({ processes: z.array(z.object({ part: z.string(), metricsUrl: z.string().nullish() })) })

describe.skipIf(reason !== null)('asked to a real Prometheus', () => {
  let place: Place
  let run: Run
  let prometheus: Prometheus
  beforeAll(async () => {
    place = new Place()
    const port = String(await freePort())
    const { experts, gate } = simulatedExperts(place, ['sql', 'verse'])
    // Room for one adapter of the simulated engine: every other turn has to load.
    const skills = [`experts: ${JSON.stringify(experts)}`, `gate: ${JSON.stringify(gate)}`, 'expertMemoryMiB: 1']
    const late = drafting('late', ['slo: { ttftMs: 1, tpotMs: 1 }', ...skills].join('\n  '))
    const either = route('either', 'weighted: [{ deployment: pair, weight: 1 }, { deployment: late, weight: 1 }]')
    const cascades = [...quizPairs, quizRoute('cascade'), quizRoute('watched', 'shadow: true'), quizMap()]
    const judging = [...cascades, riskRoute('risk'), riskMap()]
    const file = (pair: string) => place.write('pairs.yaml', [pair, late, either, ...judging].join('\n---\n'))
    run = place.run('up', '--port', port, '--file', file(drafting('pair')))
    await run.says('Try it:')
    const status = place.run('status', '--port', port, '--json')
    await status.ended()
    const targets = Described.parse(JSON.parse(status.output)).processes.flatMap(({ part, metricsUrl }, index) =>
      typeof metricsUrl === 'string' && part !== 'nats'
        ? [{ metricsUrl: pageOf(metricsUrl), labels: { namespace, pod: `${part}-${index}` } }]
        : [],
    )
    expect(targets.length).toBe(7)
    prometheus = await startPrometheus(program ?? '', targets)
    const edit = (requestsMax: number) => void file(drafting('pair', `queue: { requestsMax: ${requestsMax} }`))
    await Promise.all([traffic(port, prometheus), editUntilSeen(prometheus, edit)])
    expect(await prometheus.healthy()).toBe(targets.length)
  })
  afterAll(async () => {
    await prometheus.stop()
    run.child.kill('SIGTERM')
    await run.ended()
    await place.dispose()
  })

  test.each(panels.filter(({ key }) => !(key in empty)))('$name has data', async ({ query }) => {
    const samples = await prometheus.query(filledIn(query, windowSeconds))
    expect(samples.filter(({ value }) => !Number.isNaN(value)).length, filledIn(query, windowSeconds)).toBeGreaterThan(
      0,
    )
  })

  test.each(panels.filter(({ key }) => key in empty))(
    '$name is well-formed, and empty for the reason given',
    async ({ query }) => {
      const samples = await prometheus.query(filledIn(query, windowSeconds))
      expect(samples.filter(({ value }) => value > 0)).toEqual([])
    },
  )

  test.each(alerts)('$name measures something', async ({ name, value, bound }) => {
    const marks = {
      namespace,
      errorRatioWarning: 0.05,
      errorRatioCritical: 0.2,
      goodputTarget: 0.9,
      acceptanceMin: 0.2,
    }
    const samples = await prometheus.query(withMarks(value, marks))
    expect(samples.length > 0).toBe(!(name in emptyAlerts))
    await prometheus.query(withMarks(`${value} ${bound}`, marks))
  })

  test('the list of what is empty names only what there is', () => {
    expect(unknownIn(empty)).toEqual([])
    expect(Object.keys(emptyAlerts).filter((name) => !alerts.some((alert) => alert.name === name))).toEqual([])
  })
})

/** An operator with nothing to do reconciles every half minute; each edit gives it something, until two scrapes differ by it. */
async function editUntilSeen(prometheus: Prometheus, edit: (requestsMax: number) => void): Promise<void> {
  const query = `sum(increase(${operatorMetrics.reconciles.name}[${windowSeconds}s])) > 0`
  for (let attempt = 1; attempt <= 20; attempt += 1) {
    edit(100 + attempt)
    await sleep(editMs)
    if ((await prometheus.query(query)).length > 0) return
  }
  throw new Error('no scrape has seen a reconcile after 20 edits')
}

/** Streams, whole answers, mistakes: until every rate has two scrapes. */
async function traffic(port: string, prometheus: Prometheus): Promise<void> {
  const client = new OpenAI({ apiKey: 'none', baseURL: `http://127.0.0.1:${port}/v1`, maxRetries: 0 })
  const messages = [{ role: 'user' as const, content: 'tell me something that takes a few words' }]
  let round = 0
  await prometheus.whileScraped(scrapes, async () => {
    for (const model of ['pair', 'late']) {
      const stream = await client.chat.completions.create({ model, messages, max_tokens: 24, stream: true })
      for await (const chunk of stream) void chunk
      await client.chat.completions.create({ model, messages, max_tokens: 4 })
    }
    await client.chat.completions.create({ model: 'either', messages, max_tokens: 4 })
    for (const model of ['cascade', 'watched', 'risk'])
      for (const content of ['first', 'second', 'third', 'fourth'])
        await client.chat.completions.create({ model, messages: [{ role: 'user', content }], max_tokens: 4 })
    for (const model of ['late:sql', 'late:verse'])
      await client.chat.completions.create({ model, messages, max_tokens: 4 })
    const ungated = [{ role: 'user' as const, content: `${gatedTexts.sql[0]} ${(round += 1)}` }]
    await client.chat.completions.create({ model: 'late', messages: ungated, max_tokens: 4 })
    await client.chat.completions.create({ model: 'nobody', messages }).catch(() => undefined)
    await sleep(100)
  })
}

const pageOf = (url: string) => (url.endsWith('/metrics') ? url : `${url}/metrics`)
