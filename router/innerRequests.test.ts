import { describe, expect, test } from 'vitest'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import { type InnerAnswer, InnerRequests } from './innerRequests.ts'
import { modelRecord } from './testing/fakeWorker.ts'
import { fakeStage, type FakeStage, metricValue, nothingLeft, request, settled } from './testing/stage.ts'

const question = (prompt: string) => ({ kind: 'completion' as const, prompt, echo: false })

function inner(stage: FakeStage, deadlineMs = 10_000) {
  const client = request(stage, { deadlineMs })
  const requests = new InnerRequests({ router: stage.router, clock: stage.clock, client })
  const answers: InnerAnswer[] = []
  const ask = (prompts: string[], tokens: number | null = 2) =>
    void requests
      .ask({
        model: modelRecord(),
        works: prompts.map(question),
        sampling: { ...samplingDefaults, seed: 1, maxTokens: tokens },
      })
      .then((answer) => answers.push(answer))
  return { client, requests, answers, ask }
}

describe('a request that the router makes itself', () => {
  test('is answered in memory, a choice for each prompt, as the tenant of its client', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1' })
    await settled(stage)
    const { answers, ask, client } = inner(stage)
    ask(['one', 'two'])
    await settled(stage)
    expect(answers).toMatchObject([{ kind: 'completed', choices: [{ text: 't0 t1 ' }, { text: 't0 t1 ' }] }])
    expect(worker.received.map(({ tenant, requestId }) => [tenant, requestId])).toEqual([
      [client.tenant, client.id],
      [client.tenant, client.id],
    ])
  })

  test('counts as a request of its deployment, and not as one of a client', async () => {
    const stage = await fakeStage()
    stage.worker({ name: 'w1' })
    await settled(stage)
    const { ask } = inner(stage)
    ask(['one'])
    await settled(stage)
    expect(await metricValue(stage, 'paceline_slo_good_requests_total{')).toBe(1)
    expect(await metricValue(stage, 'paceline_requests_total{')).toBeNaN()
  })

  test('has the time that is left to its client, and is not made where none is', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1' })
    const { answers, ask } = inner(stage, 1_000)
    await settled(stage)
    ask(['one'])
    await settled(stage)
    expect(worker.received[0]?.deadlineMs).toBe(600)
    await stage.clock.advance(1_000)
    ask(['two'])
    await settled(stage)
    expect(worker.received).toHaveLength(1)
    expect(answers[1]).toMatchObject({ kind: 'failed', failure: { code: 'expired' } })
  })

  test('has no more than its patience, and no more than the client has', async () => {
    const stage = await fakeStage()
    stage.worker({ name: 'w1', stepMs: 3_600_000 })
    await settled(stage)
    const { client, requests } = inner(stage, 4_000)
    const answers: InnerAnswer[] = []
    const asking = { model: modelRecord(), works: [question('one')], sampling: { ...samplingDefaults, seed: 1 } }
    for (const patienceMs of [requests.patienceMs, 2 * client.deadlineMs])
      void requests.ask({ ...asking, patienceMs }).then((answer) => answers.push(answer))
    await stage.clock.advance(2_100)
    expect(answers).toMatchObject([{ kind: 'failed', failure: { code: 'expired' } }])
    await stage.clock.advance(2_000)
    expect(answers).toMatchObject([{ kind: 'failed' }, { kind: 'failed', failure: { code: 'expired' } }])
  })

  test('ends with its client: what runs is cancelled at the worker, and nothing starts any more', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1', stepMs: 10 })
    await settled(stage)
    const { requests, answers, ask } = inner(stage)
    ask(['one', 'two'], 1_000)
    await settled(stage)
    requests.cancel()
    ask(['three'])
    await settled(stage)
    expect(answers.map(({ kind }) => kind)).toEqual(['cancelled', 'cancelled'])
    expect(worker.received).toHaveLength(2)
    expect(worker.busy).toBe(0)
    expect(nothingLeft(stage)).toEqual({ active: 0, attempts: 0 })
  })

  test('says what went wrong in its answer', async () => {
    const stage = await fakeStage()
    const worker = stage.worker({ name: 'w1' })
    worker.failWith = new Failure('context-exceeded', 'too long')
    await settled(stage)
    const { answers, ask } = inner(stage)
    ask(['one'])
    await settled(stage)
    expect(answers).toMatchObject([{ kind: 'failed', failure: { code: 'context-exceeded' } }])
  })

  test('is stopped where its answer outgrows what may be held', async () => {
    const stage = await fakeStage()
    const text = 'x'.repeat(limits.router.innerAnswerCharactersMax / 4)
    const worker = stage.worker({ name: 'w1', stepMs: 10, text: () => text })
    await settled(stage)
    const { answers, ask } = inner(stage)
    ask(['one'], 100)
    await settled(stage)
    expect(answers).toMatchObject([{ kind: 'failed', failure: { code: 'aborted' } }])
    expect(worker.busy).toBe(0)
  })

  test('of a client that was accepted goes on while the router drains', async () => {
    const stage = await fakeStage()
    stage.worker({ name: 'w1' })
    await settled(stage)
    const { answers, ask } = inner(stage)
    stage.router.drain(0)
    ask(['one'])
    await settled(stage)
    stage.router.stop()
    ask(['two'])
    await settled(stage)
    expect(answers).toMatchObject([{ kind: 'completed' }, { kind: 'failed', failure: { code: 'draining' } }])
  })
})
