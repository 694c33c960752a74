import { describe, expect, test } from 'vitest'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { ask, fakeStage, metricValue, nothingLeft, settled } from './testing/stage.ts'

describe('a worker that does not do what it should', () => {
  test('refuses with "elsewhere": the other one is asked, and each at most once', async () => {
    const stage = await fakeStage()
    const first = stage.worker({ name: 'w1', stepMs: 10 })
    const second = stage.worker({ name: 'w2', stepMs: 10 })
    await settled(stage)
    for (const worker of [first, second])
      worker.refuseWith = new Failure('refused', 'no', { retry: { kind: 'elsewhere' } })
    const { sink } = ask(stage)
    await stage.clock.advance(100)
    expect(sink.ended).toBe('refused')
    expect([first.received.length, second.received.length]).toEqual([1, 1])
  })

  test('refuses with "never": the client is told at once', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1', stepMs: 10 })
    stage.worker({ name: 'w2', stepMs: 10 })
    await settled(stage)
    worker.refuseWith = new Failure('context-exceeded', 'too long')
    const asked = Array.from({ length: 4 }, () => ask(stage))
    await stage.clock.advance(100)
    expect(asked.map(({ sink }) => sink.ended)).toContain('context-exceeded')
  })

  test('refuses with "after": the request waits and is sent again', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1', stepMs: 10 })
    await settled(stage)
    worker.refuseWith = new Failure('refused', 'full', { retry: { kind: 'after', afterMs: 200 } })
    const { sink } = ask(stage)
    await stage.clock.advance(20)
    worker.refuseWith = null
    await stage.clock.advance(100)
    expect(worker.received).toHaveLength(1)
    await stage.clock.advance(400)
    expect(sink.ended).toBe('completed')
  })

  test('does not answer: the request goes elsewhere once and the first dispatch is cancelled', async () => {
    const stage = await fakeStage()
    const deaf = stage.worker({ name: 'w1', stepMs: 10 })
    await settled(stage)
    deaf.deaf = true
    const { sink } = ask(stage)
    const second = stage.worker({ name: 'w2', stepMs: 10 })
    await stage.clock.advance(limits.worker.acceptTimeoutMs + 200)
    expect(sink.ended).toBe('completed')
    expect([second.received.length, deaf.cancels.length > 0]).toEqual([1, true])
  })

  test('does not answer and is alone: the same dispatch is sent again under the same id', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1', stepMs: 10 })
    await settled(stage)
    worker.deaf = true
    const { sink } = ask(stage)
    await stage.clock.advance(limits.worker.acceptTimeoutMs - 100)
    worker.deaf = false
    await stage.clock.advance(500)
    expect(sink.ended).toBe('completed')
    expect(new Set(worker.received.map(({ id }) => id)).size).toBe(1)
  })

  test('fails before the first text: tried again elsewhere, once', async () => {
    const stage = await fakeStage()
    const first = stage.worker({ name: 'w1', stepMs: 10 })
    await settled(stage)
    first.failWith = new Failure('engine-fault', 'step failed', { retry: { kind: 'elsewhere' } })
    const { sink } = ask(stage)
    stage.worker({ name: 'w2', stepMs: 10 })
    await stage.clock.advance(1_000)
    expect(sink.ended).toBe('completed')
    expect(await metricValue(stage, 'paceline_retries_total{model="smol",cause="engine-fault"}')).toBe(1)
  })

  test('sends garbage: it is dropped, and nothing breaks', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1', stepMs: 10 })
    await settled(stage)
    const { sink } = ask(stage, { tokens: 5 })
    await stage.clock.advance(20)
    const id = worker.received[0]?.id ?? ''
    worker.send(stage.router.id, [{ kind: 'delta', id, number: 'x', choices: [] }])
    worker.send(stage.router.id, [{ kind: 'delta', id: 'unknown', number: 0, choices: [] }])
    worker.send(stage.router.id, [{ kind: 'delta', id, number: 0, choices: [{ index: 0, text: 'twice', tokens: [] }] }])
    await stage.clock.advance(200)
    expect(sink.text).toBe('t0 t1 t2 t3 t4 ')
    expect(await metricValue(stage, 'paceline_duplicate_events_total')).toBe(1)
  })
})

describe('a worker that dies', () => {
  test('before the first text: the request is run elsewhere', async () => {
    const stage = await fakeStage()
    const first = stage.worker({ name: 'w1', stepMs: 1_000 })
    await settled(stage)
    const { sink } = ask(stage, { tokens: 2 })
    const second = stage.worker({ name: 'w2', stepMs: 10 })
    await stage.clock.advance(100)
    first.stop()
    await stage.clock.advance(limits.worker.goneAfterMs + 500)
    expect([sink.ended, second.received.length]).toEqual(['completed', 1])
  })

  test('mid-stream: a clear error, once, and nothing is run twice', async () => {
    const stage = await fakeStage()
    const first = stage.worker({ name: 'w1', stepMs: 10 })
    await settled(stage)
    const { sink } = ask(stage, { tokens: 1_000 })
    await stage.clock.advance(100)
    const second = stage.worker({ name: 'w2', stepMs: 10 })
    first.stop()
    await stage.clock.advance(limits.worker.goneAfterMs + 500)
    expect([sink.ended, second.received.length]).toEqual(['worker-lost', 0])
  })

  test('mid-answer of a request that does not stream: started anew elsewhere', async () => {
    const stage = await fakeStage()
    const first = stage.worker({ name: 'w1', stepMs: 10 })
    await settled(stage)
    const { sink } = ask(stage, { tokens: 500, streaming: false })
    await stage.clock.advance(100)
    stage.worker({ name: 'w2', stepMs: 1, tokens: 3 })
    first.stop()
    await stage.clock.advance(limits.worker.goneAfterMs + 500)
    expect([sink.ended, sink.text, sink.restarts]).toEqual(['completed', 't0 t1 t2 ', [0]])
  })

  test('known at once: the answer does not wait for silence', async () => {
    const stage = await fakeStage()
    const first = stage.worker({ name: 'w1', stepMs: 10 })
    await settled(stage)
    await stage.clock.advance(limits.worker.goneAfterMs)
    const { sink } = ask(stage, { tokens: 1_000 })
    await stage.clock.advance(100)
    first.report('stopped')
    first.stop()
    await stage.clock.advance(10)
    expect(sink.ended).toBe('worker-lost')
  })

  test('and nobody else is there: what waits fails after a bounded time, what is new at once', async () => {
    const stage = await fakeStage()
    const first = stage.worker({ name: 'w1', stepMs: 10_000 })
    await settled(stage)
    const { sink } = ask(stage, { deadlineMs: 60_000 })
    await stage.clock.advance(100)
    first.stop()
    await stage.clock.advance(limits.worker.goneAfterMs + 500)
    expect(sink.ended).toBe('')
    expect(ask(stage).sink.ended).toBe('no-worker')
    await stage.clock.advance(limits.queue.noWorkerWaitMs)
    expect(sink.ended).toBe('no-worker')
    expect(nothingLeft(stage)).toEqual({ active: 0, attempts: 0 })
  })
})

describe('the bus', () => {
  test('loses events: they are asked for again, in order, none twice', async () => {
    const stage = await fakeStage()
    stage.worker({ name: 'w1', stepMs: 20 })
    await settled(stage)
    stage.network.faults.lossRate = 0.3
    // Of a question and its answer a quarter gets through: the default deadline would be a matter of luck.
    const asked = Array.from({ length: 4 }, () => ask(stage, { tokens: 30, deadlineMs: 60_000 }))
    await stage.clock.advance(60_000)
    const whole = Array.from({ length: 30 }, (_, i) => `t${i} `).join('')
    for (const { sink } of asked) expect([sink.ended, sink.text]).toEqual(['completed', whole])
  })

  test('is away: new requests are refused, running ones go on afterwards without loss or doubling', async () => {
    const stage = await fakeStage()
    stage.worker({ name: 'w1', stepMs: 20 })
    await settled(stage)
    const { sink } = ask(stage, { tokens: 200 })
    await stage.clock.advance(200)
    stage.network.restartServer({ downMs: 2_500, spreadMs: 300, keepBuckets: true })
    await stage.clock.advance(100)
    expect(ask(stage).sink.ended).toBe('bus-unavailable')
    await stage.clock.advance(10_000)
    expect(sink.text).toBe(Array.from({ length: 200 }, (_, i) => `t${i} `).join(''))
    expect(sink.ended).toBe('completed')
  })

  test('is away when a client leaves: the worker is told once it is back', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1', stepMs: 20 })
    await settled(stage)
    const { handle } = ask(stage, { tokens: 100_000 })
    await stage.clock.advance(200)
    stage.network.restartServer({ downMs: 1_000, spreadMs: 0, keepBuckets: true })
    handle.cancel()
    await stage.clock.advance(5_000)
    expect([worker.busy, stage.router.attempts]).toEqual([0, 0])
  })
})

describe('draining', () => {
  test('refuses what is new and finishes what runs', async () => {
    const stage = await fakeStage()
    stage.worker({ name: 'w1', stepMs: 10 })
    await settled(stage)
    const { sink } = ask(stage, { tokens: 10 })
    stage.router.drain(0)
    expect([stage.router.ready, ask(stage).sink.ended]).toEqual([false, 'draining'])
    await stage.clock.advance(500)
    expect(sink.ended).toBe('completed')
  })

  test('accepts for a while, so that nobody is refused before the balancers have forgotten it', async () => {
    const stage = await fakeStage()
    stage.worker({ name: 'w1', stepMs: 10 })
    await settled(stage)
    stage.router.drain(2_000)
    expect([stage.router.ready, stage.router.draining]).toEqual([false, true])
    await stage.clock.advance(1_000)
    const { sink } = ask(stage, { tokens: 10 })
    await stage.clock.advance(500)
    expect(sink.ended).toBe('completed')
    await stage.clock.advance(500)
    expect(ask(stage).sink.ended).toBe('draining')
  })

  test('ends with an error what is not finished in time, and leaves no timer or subscription behind', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1', stepMs: 10 })
    await settled(stage)
    const { sink } = ask(stage, { tokens: 10_000 })
    await stage.clock.advance(100)
    stage.router.stop()
    expect(sink.ended).toBe('draining')
    await stage.clock.advance(100)
    expect([stage.network.subscriptions('router'), worker.busy]).toEqual([[], 0])
  })
})
