import { describe, expect, test } from 'vitest'
import { TenantId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { modelRecord } from './testing/fakeWorker.ts'
import { ask, fakeStage, metricValue, nothingLeft, settled } from './testing/stage.ts'

describe('an undisturbed request', () => {
  test('is answered in order and ends once', async () => {
    const stage = await fakeStage()
    stage.worker({ name: 'w1', stepMs: 10 })
    await settled(stage)
    const { sink } = ask(stage, { tokens: 3 })
    await stage.clock.advance(100)
    expect(sink.text).toBe('t0 t1 t2 ')
    expect(sink.ended).toBe('completed')
    expect(nothingLeft(stage)).toEqual({ active: 0, attempts: 0 })
  })

  test('of several prompts and samples keeps each choice apart and counts each prompt once', async () => {
    const stage = await fakeStage()
    stage.worker({ name: 'w1', stepMs: 10, slots: 2 })
    await settled(stage)
    const works = ['a', 'b'].map((prompt) => ({ kind: 'completion' as const, prompt, echo: false }))
    const { sink } = ask(stage, { works, choices: 3, tokens: 2 })
    await stage.clock.advance(1_000)
    expect([...sink.texts.keys()].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5])
    const [outcome] = sink.outcomes
    expect(outcome?.kind === 'completed' ? outcome.usage : outcome).toMatchObject({
      promptTokens: 20,
      completionTokens: 12,
    })
  })

  test('with more samples than a worker has slots is split, and each sample keeps its seed', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1', stepMs: 10, slots: 2 })
    await settled(stage)
    ask(stage, { choices: 5, tokens: 1 })
    await stage.clock.advance(1_000)
    expect(worker.received.map(({ choices, sampling }) => [choices, sampling.seed])).toEqual([
      [2, 7],
      [2, 9],
      [1, 11],
    ])
  })

  test('for embeddings is sent in groups and comes back in order', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1', stepMs: 1 })
    await settled(stage)
    const inputs = Array.from({ length: 20 }, (_, i) => `input ${i}`)
    const { sink } = ask(stage, { works: [{ kind: 'embedding', inputs }], streaming: false })
    await stage.clock.advance(1_000)
    expect(worker.received.map(({ work }) => (work.kind === 'embedding' ? work.inputs.length : 0))).toEqual([16, 4])
    const [outcome] = sink.outcomes
    expect(outcome?.kind === 'completed' ? outcome.embeddings.length : outcome).toBe(20)
  })
})

describe('queueing', () => {
  test('what finds no free slot waits and is sent when one is free', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1', stepMs: 10, slots: 1 })
    await settled(stage)
    const asked = Array.from({ length: 3 }, () => ask(stage, { tokens: 3 }))
    await stage.clock.advance(5)
    expect(worker.received).toHaveLength(1)
    expect(stage.router.queued(modelRecord())).toBe(2)
    await stage.clock.advance(500)
    expect(asked.map(({ sink }) => sink.ended)).toEqual(['completed', 'completed', 'completed'])
  })

  test('a full queue refuses with a time to try again, and the refusal is lost goodput', async () => {
    const stage = await fakeStage(modelRecord({ queue: { requestsMax: 1, bytesMax: 1_000 } }))
    stage.worker({ name: 'w1', stepMs: 10, slots: 1 })
    await settled(stage)
    const asked = Array.from({ length: 3 }, () => ask(stage, { tokens: 100 }))
    expect(asked.map(({ sink }) => sink.ended)).toEqual(['', '', 'refused'])
    expect(
      await metricValue(stage, 'paceline_slo_lost_requests_total{model="smol",tenant="public",cause="refused"}'),
    ).toBe(1)
  })

  test('what waits past its deadline expires', async () => {
    const stage = await fakeStage()
    stage.worker({ name: 'w1', stepMs: 10, slots: 1 })
    await settled(stage)
    ask(stage, { tokens: 1_000 })
    const { sink } = ask(stage, { deadlineMs: 500 })
    await stage.clock.advance(499)
    expect(sink.ended).toBe('')
    await stage.clock.advance(limits.router.sweepIntervalMs + 1)
    expect(sink.ended).toBe('expired')
  })

  test('a flooding tenant does not keep another one waiting', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1', stepMs: 10, slots: 1 })
    await settled(stage)
    for (let i = 0; i < 20; i++) ask(stage, { tokens: 2, tenant: TenantId.parse('flood') })
    await stage.clock.advance(100)
    ask(stage, { tokens: 2, tenant: TenantId.parse('quiet') })
    await stage.clock.advance(100)
    expect(worker.received.map(({ tenant }) => tenant).slice(0, 8)).toContain('quiet')
  })
})

describe('leaving', () => {
  test('while queued takes the request out of the queue', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1', stepMs: 10, slots: 1 })
    await settled(stage)
    ask(stage, { tokens: 3 })
    const { sink, handle } = ask(stage)
    handle.cancel()
    await stage.clock.advance(500)
    expect(sink.ended).toBe('cancelled')
    expect(worker.received).toHaveLength(1)
    expect(nothingLeft(stage)).toEqual({ active: 0, attempts: 0 })
  })

  test('while running cancels at the worker and frees its slot', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1', stepMs: 10, slots: 1 })
    await settled(stage)
    const { sink, handle } = ask(stage, { tokens: 1_000, streaming: false })
    await stage.clock.advance(50)
    handle.cancel()
    handle.cancel()
    await stage.clock.advance(10)
    expect([sink.ended, worker.busy, worker.cancels.length]).toEqual(['cancelled', 0, 1])
    expect(nothingLeft(stage)).toEqual({ active: 0, attempts: 0 })
    expect(await metricValue(stage, 'paceline_requests_running{model="smol"}')).toBe(0)
  })

  test('is told again when the first cancel was lost', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1', stepMs: 10 })
    await settled(stage)
    const { handle } = ask(stage, { tokens: 100_000 })
    await stage.clock.advance(50)
    stage.network.faults.lossRate = 1
    handle.cancel()
    await stage.clock.advance(20)
    stage.network.faults.lossRate = 0
    expect(worker.busy).toBe(1)
    await stage.clock.advance(2 * limits.worker.resendAfterMs + 100)
    expect([worker.busy, stage.router.attempts]).toEqual([0, 0])
  })
})

test('what was good, lost and why adds up to what the clients saw', async () => {
  const stage = await fakeStage(
    modelRecord({ slo: { ttftMs: 300, tpotMs: 15 }, queue: { requestsMax: 4, bytesMax: 10_000 } }),
  )
  stage.worker({ name: 'w1', stepMs: 10, slots: 2 })
  await settled(stage)
  const asked = Array.from({ length: 8 }, () => ask(stage, { tokens: 20 }))
  await stage.clock.advance(5_000)
  const refused = asked.filter(({ sink }) => sink.ended === 'refused').length
  const labels = 'model="smol",tenant="public"'
  expect(refused).toBe(2)
  expect(await metricValue(stage, `paceline_slo_lost_requests_total{${labels},cause="refused"}`)).toBe(2)
  expect(await metricValue(stage, `paceline_slo_good_requests_total{${labels}}`)).toBe(4)
  expect(await metricValue(stage, `paceline_slo_lost_requests_total{${labels},cause="late-first-token"}`)).toBe(2)
})
