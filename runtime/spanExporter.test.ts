import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { createFakeClock } from '#test/simulate/fakeClock.ts'
import { silentLog } from './log.ts'
import { SpanExporter, type SpanOutcome } from './spanExporter.ts'
import type { EndedSpan } from './tracing.ts'

const { batchSpansMax, batchWaitMs, retryWaitMs, spansMax, attemptsMax, closeMsMax } = limits.tracing
const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

type Respond = (response: ServerResponse, batch: number) => void
const ok: Respond = (response) => response.end('{}')

/** A receiver that remembers how many spans each batch had. */
async function stand(respond: Respond = ok, headers: Record<string, string> = { 'x-key': 'secret' }) {
  const batches: { spans: number; headers: IncomingMessage['headers']; url: string }[] = []
  const waiters: { count: number; resolve: () => void }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (part: Buffer) => (body += part.toString()))
    request.on('end', () => {
      const spans = body.split('"traceId"').length - 1
      batches.push({ spans, headers: request.headers, url: request.url ?? '' })
      respond(response, batches.length)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => server.close())
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const counts = new Map<SpanOutcome, number>()
  const clock = createFakeClock()
  const exporter = new SpanExporter({
    clock,
    log: silentLog,
    url: new URL(`http://127.0.0.1:${port}/v1/traces`),
    headers,
    source: { resource: {}, scope: { name: 'test', version: '1' }, epochMs: 0 },
    count: (outcome, spans) => {
      counts.set(outcome, (counts.get(outcome) ?? 0) + spans)
      for (const { count, resolve } of waiters) if (total() >= count) resolve()
    },
  })
  const total = () => [...counts.values()].reduce((sum, n) => sum + n, 0)
  const counted = (count: number) =>
    new Promise<void>((resolve) => (total() >= count ? resolve() : void waiters.push({ count, resolve })))
  return { batches, counts, clock, exporter, counted }
}

const span = (): EndedSpan => ({
  context: { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', sampled: true },
  parentId: null,
  name: 'request',
  kind: 'server',
  startedAt: 0,
  endedAt: 1,
  attributes: {},
  failure: null,
})

describe('batches', () => {
  test('few spans go together when their time is up', async () => {
    const { exporter, clock, batches, counts, counted } = await stand()
    for (let i = 0; i < 3; i++) exporter.take(span())
    clock.advanceNow(batchWaitMs - 1)
    expect(batches).toEqual([])
    clock.advanceNow(1)
    await counted(3)
    expect(batches).toMatchObject([{ spans: 3, url: '/v1/traces', headers: { 'x-key': 'secret' } }])
    expect(counts).toEqual(new Map([['exported', 3]]))
  })

  test('a full batch does not wait', async () => {
    const { exporter, clock, batches, counted } = await stand()
    for (let i = 0; i < batchSpansMax; i++) exporter.take(span())
    clock.advanceNow(0)
    await counted(batchSpansMax)
    expect(batches).toMatchObject([{ spans: batchSpansMax }])
  })

  test('a full batch does not wait for those that come after it', async () => {
    const { exporter, clock, batches, counted } = await stand()
    for (let i = 0; i < batchSpansMax; i++) exporter.take(span())
    const after = vi.spyOn(clock, 'after')
    for (let i = 0; i < 5; i++) exporter.take(span())
    expect(after).not.toHaveBeenCalled()
    clock.advanceNow(0)
    await counted(batchSpansMax)
    expect(batches).toMatchObject([{ spans: batchSpansMax }])
  })

  test('what has no room is dropped and counted', async () => {
    const { exporter, counts } = await stand()
    for (let i = 0; i < spansMax + 5; i++) exporter.take(span())
    expect(counts).toEqual(new Map([['dropped', 5]]))
  })

  test('at the end everything left is sent', async () => {
    const { exporter, counts, batches } = await stand()
    for (let i = 0; i < batchSpansMax + 1; i++) exporter.take(span())
    await exporter.close()
    expect(batches.map(({ spans }) => spans)).toEqual([batchSpansMax, 1])
    expect(counts).toEqual(new Map([['exported', batchSpansMax + 1]]))
    exporter.take(span())
    expect(counts.get('dropped')).toBe(1)
  })

  test.each([
    ['does not answer', ''],
    ['does not end its answer', '{'],
  ])('the end waits for a receiver that %s no longer than it may, and the rest is counted', async (_, begun) => {
    const asked = Promise.withResolvers<void>()
    const { exporter, clock, counts, batches } = await stand((response) => {
      if (begun !== '') response.write(begun)
      asked.resolve()
    })
    const spans = 2 * batchSpansMax + 1
    for (let i = 0; i < spans; i++) exporter.take(span())
    clock.advanceNow(0)
    await asked.promise
    const closed = exporter.close()
    clock.advanceNow(closeMsMax)
    await closed
    expect(batches).toHaveLength(1)
    expect(counts).toEqual(new Map([['failed', spans]]))
  })

  test('the end does not wait until a busy receiver may be asked again: it asks at once, once', async () => {
    const { exporter, clock, counts, batches } = await stand((response) =>
      response.writeHead(503, { 'retry-after': '9' }).end(),
    )
    exporter.take(span())
    clock.advanceNow(batchWaitMs)
    // The request cancels its own limit, and then the wait is set.
    while (batches.length < 1 || clock.pending !== 1) await clock.settle()
    await clock.settle()
    await exporter.close()
    expect(batches).toHaveLength(2)
    expect(counts).toEqual(new Map([['failed', 1]]))
    expect(clock.pending).toBe(0)
  })
})

describe('a receiver that does not take them', () => {
  test('busy: asked again after what it says', async () => {
    const asked: (() => void)[] = []
    const again = new Promise<void>((resolve) => asked.push(resolve))
    const { exporter, clock, counts, counted } = await stand((response, batch) => {
      if (batch === 1) response.writeHead(503, { 'retry-after': '2' }).end(() => asked[0]?.())
      else ok(response, batch)
    })
    exporter.take(span())
    clock.advanceNow(batchWaitMs)
    await again
    // The answer is here; until it was read no timer is set.
    await clock.runUntil(() => clock.pending > 0, 0)
    while (counts.size === 0 && clock.pending === 0) await clock.settle()
    clock.advanceNow(2_000)
    await counted(1)
    expect(counts).toEqual(new Map([['exported', 1]]))
  })

  test('refused: lost at once, and the next batch is tried', async () => {
    const { exporter, clock, counts, counted } = await stand((response, batch) => {
      if (batch === 1) response.writeHead(400).end()
      else ok(response, batch)
    })
    exporter.take(span())
    clock.advanceNow(batchWaitMs)
    await counted(1)
    await clock.settle()
    exporter.take(span())
    clock.advanceNow(batchWaitMs)
    await counted(2)
    expect(counts).toEqual(
      new Map([
        ['failed', 1],
        ['exported', 1],
      ]),
    )
  })

  test('part of a batch refused is counted as such', async () => {
    const { exporter, counts } = await stand((response) => response.end('{"partialSuccess":{"rejectedSpans":"2"}}'))
    for (let i = 0; i < 5; i++) exporter.take(span())
    await exporter.close()
    expect(counts).toEqual(
      new Map([
        ['exported', 3],
        ['failed', 2],
      ]),
    )
  })

  test.each(['999', '-3', 'many'])('a receiver that says it refused %s of them is not believed', async (rejected) => {
    const { exporter, counts } = await stand((response) =>
      response.end(JSON.stringify({ partialSuccess: { rejectedSpans: rejected } })),
    )
    for (let i = 0; i < 5; i++) exporter.take(span())
    await exporter.close()
    expect([...counts.values()].every((spans) => spans >= 0)).toBe(true)
    expect((counts.get('exported') ?? 0) + (counts.get('failed') ?? 0)).toBe(5)
  })

  test('a header that cannot be sent loses the batch and nothing else', async () => {
    const { exporter, clock, counts, counted } = await stand(ok, { 'authorization: Bearer abc': '' })
    exporter.take(span())
    clock.advanceNow(batchWaitMs)
    await counted(1)
    expect(counts).toEqual(new Map([['failed', 1]]))
  })

  test('away: tried as often as it may be, then lost', async () => {
    const clock = createFakeClock()
    const counts = new Map<SpanOutcome, number>()
    const ended = new Promise<void>((resolve) => {
      const exporter = new SpanExporter({
        clock,
        log: silentLog,
        url: new URL('http://127.0.0.1:1/v1/traces'),
        headers: {},
        source: { resource: {}, scope: { name: 'test', version: '1' }, epochMs: 0 },
        count: (outcome, spans) => {
          counts.set(outcome, spans)
          resolve()
        },
      })
      exporter.take(span())
    })
    clock.advanceNow(batchWaitMs)
    for (let attempt = 1; attempt < attemptsMax; attempt++) {
      // The refusal of the connection cancels its time limit, and then the wait is set.
      while (counts.size === 0 && clock.pending !== 1) await clock.settle()
      await clock.settle()
      clock.advanceNow(retryWaitMs * 2 ** (attempt - 1))
    }
    await ended
    expect(counts).toEqual(new Map([['failed', 1]]))
  })
})
