import { createServer } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { RouterTracing } from '#contracts/routerConfig.ts'
import { encode } from '#runtime/messages.ts'
import { silentLog } from '#runtime/log.ts'
import { systemClock } from '#runtime/clock.ts'
import { mulberry32 } from '#test/simulate/random.ts'
import { readConfig } from './config.ts'
import { createRouterMetrics } from './metrics.ts'
import { startTracing } from './startTracing.ts'
import { readTracing } from './tracingSettings.ts'
import { serveStage, type ServedStage } from './testing/server.ts'

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

interface OtlpSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly { key: string; value: Record<string, unknown> }[]
  readonly status?: { code: number; message: string }
}

/** A receiver on a real socket, and a router that sends to it. */
async function traced(config: object = {}): Promise<{ stage: ServedStage; spans: () => Promise<OtlpSpan[]> }> {
  const bodies: string[] = []
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      bodies.push(Buffer.concat(parts).toString())
      response.end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => new Promise((resolve) => void server.close(() => resolve())))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const tracing = startTracing({
    config: RouterTracing.parse({ endpoint: `http://127.0.0.1:${port}`, ...config }),
    settings: { headers: {}, resource: { 'k8s.pod.name': 'router-0' } },
    clock: systemClock,
    log: silentLog,
    metrics: createRouterMetrics(),
    random: mulberry32(3),
    instance: 'router-1',
    epochMs: performance.timeOrigin,
  })
  if (tracing.tracer === null) throw new Error('nothing is traced')
  const stage = await serveStage({ tracer: tracing.tracer })
  closers.push(() => stage.close())
  return {
    stage,
    spans: async () => {
      await tracing.close()
      return bodies.flatMap((body) => {
        const parsed = JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: OtlpSpan[] }[] }[] }
        return parsed.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
      })
    },
  }
}

const named = (spans: readonly OtlpSpan[], name: string): OtlpSpan => {
  const found = spans.find((span) => span.name === name)
  if (found === undefined) throw new Error(`no span ${name} among ${spans.map((span) => span.name).join(', ')}`)
  return found
}
const valueOf = (span: OtlpSpan, key: string) =>
  Object.values(span.attributes.find((each) => each.key === key)?.value ?? {})[0]
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`

describe('a request that is traced', () => {
  test('is one tree from the client’s own span to the worker’s times', async () => {
    const { stage, spans } = await traced()
    const response = await stage.chat({ max_tokens: 3, stream: true }, { headers: { traceparent } })
    await response.text()
    const all = await spans()
    const root = named(all, 'POST /v1/chat/completions')
    expect(response.headers.get('traceresponse')).toBe(`00-${traceId}-${root.spanId}-01`)
    expect(root).toMatchObject({ parentSpanId: '00f067aa0ba902b7', kind: 2 })
    const attempt = named(all, 'chat smol')
    const parents = ['route', 'queue', 'chat smol', 'wait', 'prompt', 'generate'].map(
      (name) => named(all, name).parentSpanId,
    )
    expect(parents).toEqual([root.spanId, root.spanId, root.spanId, attempt.spanId, attempt.spanId, attempt.spanId])
    expect(new Set(all.map((span) => span.traceId))).toEqual(new Set([traceId]))
    expect(new Set(all.map(({ spanId }) => spanId)).size).toBe(all.length)
    for (const { startTimeUnixNano, endTimeUnixNano } of all)
      expect(BigInt(endTimeUnixNano) >= BigInt(startTimeUnixNano)).toBe(true)
  })

  test('says what was decided, which worker and why, and what was used', async () => {
    const { stage, spans } = await traced()
    const policy = {
      kind: 'weighted',
      targets: [
        { deployment: 'smol', weight: 2 },
        { deployment: 'gone', weight: 1 },
      ],
    }
    const record = { route: 'shared', name: 'shared', created: 1, policy }
    await stage.operator.put('routes', 'shared', encode(record))
    await (await stage.chat({ model: 'shared', max_tokens: 3, user: 'ada' })).text()
    const all = await spans()
    const route = named(all, 'route')
    expect(
      ['paceline.route', 'paceline.route.strategy', 'paceline.route.cause', 'paceline.route.session'].map((key) =>
        valueOf(route, key),
      ),
    ).toEqual(['shared', 'weighted', expect.stringMatching(/session|stand-in/), 'user'])
    const attempt = named(all, 'chat smol')
    expect(valueOf(attempt, 'paceline.pick.cause')).toBe('only')
    expect(valueOf(attempt, 'gen_ai.usage.output_tokens')).toBe('3')
    expect(valueOf(attempt, 'gen_ai.usage.cache_read.input_tokens')).toBe('3')
    expect(valueOf(named(all, 'POST /v1/chat/completions'), 'http.response.status_code')).toBe('200')
    expect(JSON.stringify(all)).not.toContain('ada')
  })

  test('that fails says so, and one that begins here has ids of its own', async () => {
    const { stage, spans } = await traced()
    await (await stage.chat({ model: 'smol', max_tokens: 0 })).text()
    stage.firstWorker.stop()
    const all = await spans()
    const root = named(all, 'POST /v1/chat/completions')
    expect(root.parentSpanId).toBeUndefined()
    expect(valueOf(root, 'http.response.status_code')).toBe('400')
  })

  test('pages and what the client does not sample leave nothing', async () => {
    const { stage, spans } = await traced()
    await (await fetch(`${stage.http.url}/v1/models`)).text()
    const response = await stage.chat({ max_tokens: 1 }, { headers: { traceparent: traceparent.replace(/01$/, '00') } })
    await response.text()
    expect(response.headers.get('traceresponse')).toBeNull()
    expect(await spans()).toEqual([])
  })
})

describe('settings', () => {
  const base = { PACELINE_NATS_URL: 'nats://127.0.0.1:4222', PACELINE_NATS_USER: 'router' }

  test('nothing is traced unless somebody says where to', () => {
    const { config } = readConfig(base)
    expect(config.tracing).toEqual({ serviceName: 'paceline-router', sampleRatio: 1 })
    const options = { settings: { headers: {}, resource: {} }, clock: systemClock, log: silentLog, random: () => 0.5 }
    const started = startTracing({
      ...options,
      config: config.tracing,
      metrics: createRouterMetrics(),
      instance: 'r',
      epochMs: 0,
    })
    expect(started.tracer).toBeNull()
  })

  test('OpenTelemetry’s own variables are understood', () => {
    const { config, tracing } = readConfig({
      ...base,
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
      OTEL_SERVICE_NAME: 'front-door',
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20abc, x-tenant=1',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    })
    expect(config.tracing).toEqual({ endpoint: 'http://collector:4318', serviceName: 'front-door', sampleRatio: 0.25 })
    expect(tracing).toEqual({
      headers: { authorization: 'Bearer abc', 'x-tenant': '1' },
      resource: { 'deployment.environment.name': 'test' },
    })
    expect(JSON.stringify(config)).not.toContain('Bearer')
  })

  test('off is off, whatever else is said', () => {
    const { config } = readConfig({
      ...base,
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
      OTEL_SDK_DISABLED: 'true',
    })
    expect(config.tracing.endpoint).toBeUndefined()
  })

  test.each([
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'OTEL_EXPORTER_OTLP_PROTOCOL'],
    [{ OTEL_TRACES_SAMPLER: 'always_on' }, 'OTEL_TRACES_SAMPLER'],
    [{ OTEL_TRACES_SAMPLER_ARG: '2' }, 'tracing.sampleRatio'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' }, 'tracing.endpoint'],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'a=b,authorization: Bearer abc=' }, 'number 2 is not a header'],
    [{ OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-key=a%0Ab' }, 'number 1 is not a header'],
  ])('%o stops the start', (variables, where) => {
    expect(() => readConfig({ ...base, ...variables })).toThrow(where)
  })

  test('a list that is not one is nothing', () => {
    expect(readTracing({ OTEL_RESOURCE_ATTRIBUTES: 'nonsense,=x,a=%zz' }).settings.resource).toEqual({ a: '%zz' })
  })
})
