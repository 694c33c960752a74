/**
 * What the three parts export, taken from a whole instance: every name is declared in `contracts/metrics.ts` and every declared one
 * is exported, and Prometheus' own linter has nothing to say but what vLLM's names bring with them.
 */
import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { type MetricDefinition, operatorMetrics, routerMetrics, workerMetrics } from '#contracts/metrics.ts'
import { whyNoNats } from './support/needs.ts'
import { findPromtool } from './support/prometheus.ts'
import { freePort, Place, type Run, simulated } from './support/started.ts'

const reason = whyNoNats()
if (reason !== null) console.warn(`metrics of a whole instance are not tested: ${reason}`)
const promtool = findPromtool()
if (promtool === null) console.warn('metrics are not linted: no promtool on PATH or in the cache (npm test gets it)')

const parts: Readonly<Record<string, Readonly<Record<string, MetricDefinition>>>> = {
  router: routerMetrics,
  operator: operatorMetrics,
  worker: workerMetrics,
}

/** vLLM's names have a colon, which Prometheus reserves for recording rules, and one histogram that ends like a counter. */
const isOfVllm = (line: string): boolean => line.startsWith('vllm:')

const Described = z.object({ processes: z.array(z.object({ part: z.string(), metricsUrl: z.string().nullish() })) })

describe.skipIf(reason !== null)('metrics', () => {
  const texts = new Map<string, string>()
  let place: Place
  let run: Run
  beforeAll(async () => {
    place = new Place()
    const port = String(await freePort())
    run = place.run('up', '--port', port, '--file', place.write('pair.yaml', simulated('pair')))
    await run.says('Try it:')
    const status = place.run('status', '--port', port, '--json')
    await status.ended()
    for (const { part, metricsUrl } of Described.parse(JSON.parse(status.output)).processes)
      if (part in parts && typeof metricsUrl === 'string') texts.set(part, await readMetrics(metricsUrl))
  })
  afterAll(async () => {
    run.child.kill('SIGTERM')
    await run.ended()
    await place.dispose()
  })

  test.each(Object.keys(parts))('the %s exports exactly what contracts/metrics.ts declares', (part) => {
    const declared = Object.values(parts[part] ?? {}).map(({ name, kind }) => `${name} ${kind}`)
    const exported = [...(texts.get(part) ?? '').matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(
      ([, name, kind]) => `${name} ${kind}`,
    )
    // Node's own figures come from the metrics library and are the same for every program.
    expect(exported.filter((line) => !/^(nodejs|process)_/.test(line)).sort()).toEqual(declared.sort())
  })

  test.each(Object.keys(parts))('every series of the %s carries only the labels that are declared', (part) => {
    const declared = new Map(Object.values(parts[part] ?? {}).map(({ name, labels }) => [name, [...labels, 'le']]))
    for (const [, name = '', labels = ''] of (texts.get(part) ?? '').matchAll(/^([a-z:_]+)\{(.*)\} /gm)) {
      const allowed = declared.get(name) ?? declared.get(name.replace(/_(bucket|sum|count)$/, ''))
      if (allowed === undefined) continue
      for (const [, label] of labels.matchAll(/(\w+)="/g)) expect(allowed, `${name} has ${label}`).toContain(label)
    }
  })

  test.skipIf(promtool === null).each(Object.keys(parts))(
    'promtool finds nothing to improve in those of the %s',
    (part) => {
      const { status, stderr, stdout } = spawnSync(promtool ?? '', ['check', 'metrics'], {
        input: texts.get(part) ?? '',
        encoding: 'utf8',
      })
      const complaints = `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !isOfVllm(line))
      expect(complaints).toEqual([])
      // 3 is "parsed, but I have remarks": ours alone may not leave any.
      expect(status).toBe(part === 'worker' ? 3 : 0)
    },
  )
})

async function readMetrics(url: string): Promise<string> {
  const response = await fetch(url.endsWith('/metrics') ? url : `${url}/metrics`)
  expect(response.headers.get('content-type')).toContain('text/plain')
  return response.text()
}
