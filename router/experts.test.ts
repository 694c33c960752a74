import { describe, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { TenantId } from '#contracts/ids.ts'
import type { Work } from '#contracts/messages.ts'
import { modelRecord } from './testing/fakeWorker.ts'
import { Failure } from '#contracts/failure.ts'
import { ask, type FakeStage, fakeStage, metricValue, nothingLeft, settled } from './testing/stage.ts'

const gate = { sha256: 'a'.repeat(64), probabilityMin: 0.5 }
const record = modelRecord({ experts: [{ name: 'sql' }, { name: 'verse' }], gate })
const usable = { usable: ['sql', 'verse'], refused: [], gate: { sha256: gate.sha256 } }
const chat = (...contents: string[]): Work => ({
  kind: 'chat',
  messages: contents.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content })),
})

async function stageWith(probability = 0.9): Promise<{ stage: FakeStage; worker: ReturnType<FakeStage['worker']> }> {
  const stage = await fakeStage(record)
  const worker = stage.worker({ name: 'w1' })
  worker.gateWith = ({ text }) => ({ expert: text === 'select' ? 'sql' : 'verse', probability })
  await Promise.all([worker.register(usable), settled(stage)])
  return { stage, worker }
}

describe('a request of a pair with a gate', () => {
  test('goes to the expert that a worker says, and its later turns without asking again', async () => {
    const { stage, worker } = await stageWith()
    const first = ask(stage, { expert: { kind: 'gate' }, works: [chat('select')] })
    await settled(stage)
    const second = ask(stage, { expert: { kind: 'gate' }, works: [chat('select', 'done', 'and now verse')] })
    await settled(stage)
    expect([first.sink.ended, second.sink.ended]).toEqual(['completed', 'completed'])
    expect(worker.received.map(({ expert }) => expert)).toEqual(['sql', 'sql'])
    expect(worker.questions).toHaveLength(1)
    expect(await metricValue(stage, 'paceline_expert_requests_total{model="smol",expert="sql",cause="gated"')).toBe(1)
    expect(
      await metricValue(stage, 'paceline_expert_requests_total{model="smol",expert="sql",cause="remembered"'),
    ).toBe(1)
  })

  test('asks again where the worker that said "none" cannot use all experts: it may have meant only itself', async () => {
    const { stage, worker } = await stageWith()
    worker.gateWith = () => ({ expert: null, probability: 0.9 })
    const asked = async () => {
      ask(stage, { expert: { kind: 'gate' }, works: [chat('select')] })
      await settled(stage)
      return worker.questions.length
    }
    await Promise.all([worker.register({ ...usable, usable: ['verse'] }), settled(stage)])
    expect([await asked(), await asked()]).toEqual([1, 2])
    await Promise.all([worker.register(usable), settled(stage)])
    expect([await asked(), await asked()]).toEqual([3, 3])
  })

  test('asks together with others that say the same, and never for another tenant', async () => {
    const { stage, worker } = await stageWith()
    const other = TenantId.parse('other')
    for (const tenant of [undefined, undefined, other])
      ask(stage, { expert: { kind: 'gate' }, works: [chat('select')], ...(tenant === undefined ? {} : { tenant }) })
    await settled(stage)
    expect(worker.questions).toHaveLength(2)
    expect(worker.received.map(({ expert }) => expert)).toEqual(['sql', 'sql', 'sql'])
  })

  test('gets the model as it is where the gate is not sure enough', async () => {
    const { stage, worker } = await stageWith(0.4)
    ask(stage, { expert: { kind: 'gate' }, works: [chat('select')] })
    await settled(stage)
    expect(worker.received.map(({ expert }) => expert)).toEqual([undefined])
    expect(await metricValue(stage, 'paceline_expert_requests_total{model="smol",expert="base",cause="unsure"')).toBe(1)
  })

  test('gets the model as it is where nobody answers in time, and an answer that comes late is kept', async () => {
    const { stage, worker } = await stageWith()
    worker.gateWith = null
    const { sink } = ask(stage, { expert: { kind: 'gate' }, works: [chat('select')] })
    await stage.clock.advance(limits.experts.gateWaitMsMax - 1)
    expect(worker.received).toHaveLength(0)
    await settled(stage)
    expect(sink.ended).toBe('completed')
    expect(worker.received.map(({ expert }) => expert)).toEqual([undefined])
    worker.sayGated({ number: worker.questions[0]?.number ?? -1, expert: 'sql', probability: 0.9 })
    await settled(stage)
    ask(stage, { expert: { kind: 'gate' }, works: [chat('select')] })
    await settled(stage)
    expect(worker.received.map(({ expert }) => expert)).toEqual([undefined, 'sql'])
    expect(worker.questions).toHaveLength(1)
  })

  test('asks nobody who has another gate, and nobody at all where it holds no text', async () => {
    const stage = await fakeStage(record)
    const worker = stage.worker({ name: 'w1' })
    await Promise.all([worker.register({ ...usable, gate: { sha256: 'b'.repeat(64) } }), settled(stage)])
    ask(stage, { expert: { kind: 'gate' }, works: [chat('select')] })
    ask(stage, { expert: { kind: 'gate' }, works: [chat('')] })
    await settled(stage)
    expect(worker.questions).toHaveLength(0)
    expect(worker.received).toHaveLength(2)
    expect(
      await metricValue(stage, 'paceline_expert_requests_total{model="smol",expert="base",cause="no-worker"'),
    ).toBe(1)
    expect(await metricValue(stage, 'paceline_expert_requests_total{model="smol",expert="base",cause="no-text"')).toBe(
      1,
    )
  })

  test('that ends before the gate has answered reaches no worker and leaves nothing', async () => {
    const { stage, worker } = await stageWith()
    worker.gateWith = null
    const { handle, sink } = ask(stage, { expert: { kind: 'gate' }, works: [chat('select')] })
    handle.cancel()
    await settled(stage)
    expect(sink.ended).toBe('cancelled')
    expect(worker.received).toHaveLength(0)
    expect(nothingLeft(stage)).toEqual({ active: 0, attempts: 0 })
  })
})

test('a request that names its expert asks no gate', async () => {
  const { stage, worker } = await stageWith()
  ask(stage, { expert: { kind: 'named', expert: 'verse' }, works: [chat('select')] })
  ask(stage, { expert: { kind: 'none' }, works: [chat('select')] })
  await settled(stage)
  expect(worker.questions).toHaveLength(0)
  expect(worker.received.map(({ expert }) => expert)).toEqual(['verse', undefined])
})

describe('workers that cannot compute an expert', () => {
  const wish = { kind: 'named', expert: 'verse' } as const
  const refusal = { expert: 'verse', reason: 'NotLoaded', message: 'no memory' } as const

  test('are not sent its requests while another can: neither those who refused it nor those of an earlier revision', async () => {
    const stage = await fakeStage(record)
    const [refusing, earlier, able] = ['w1', 'w2', 'w3'].map((name) => stage.worker({ name }))
    await Promise.all([
      refusing?.register({ ...usable, usable: ['sql'], refused: [refusal] }),
      earlier?.register({ ...usable, usable: ['sql'] }),
      able?.register(usable),
      settled(stage),
    ])
    const asked = Array.from({ length: 12 }, () => ask(stage, { expert: wish }))
    await settled(stage)
    expect(asked.every(({ sink }) => sink.ended === 'completed')).toBe(true)
    expect([refusing?.received, earlier?.received, able?.received].map((received) => received?.length)).toEqual([
      0, 0, 12,
    ])
  })

  test('say why where nobody can; who merely lacks it is waited for', async () => {
    const stage = await fakeStage(record)
    const worker = stage.worker({ name: 'w1' })
    await Promise.all([worker.register({ ...usable, usable: ['sql'] }), settled(stage)])
    const { sink } = ask(stage, { expert: wish })
    await settled(stage)
    expect(worker.received).toHaveLength(0)
    worker.refuseWith = new Failure('model-unusable', 'no memory', { retry: { kind: 'elsewhere' } })
    await Promise.all([worker.register({ ...usable, usable: ['sql'], refused: [refusal] }), settled(stage)])
    expect(sink.ended).toBe('model-unusable')
    expect(nothingLeft(stage)).toEqual({ active: 0, attempts: 0 })
  })
})

test('embeddings wait for no turn of an expert, and are none of the two whose requests a worker has', async () => {
  const { stage, worker } = await stageWith()
  worker.deaf = true
  const named = (expert: string) => ask(stage, { expert: { kind: 'named', expert } })
  const asked = [ask(stage, { works: [{ kind: 'embedding', inputs: ['a'] }] }), named('sql'), named('verse')]
  await settled(stage)
  expect(worker.received.map(({ work, expert }) => expert ?? work.kind)).toEqual(['embedding', 'sql', 'verse'])
  for (const { handle } of asked) handle.cancel()
  await settled(stage)
})

test('an embedding goes past who waits for a worker that has its expert', async () => {
  const stage = await fakeStage(record)
  const worker = stage.worker({ name: 'w1' })
  await Promise.all([worker.register({ ...usable, usable: ['sql'] }), settled(stage)])
  const verse = ask(stage, { expert: { kind: 'named', expert: 'verse' } })
  const embedding = ask(stage, { works: [{ kind: 'embedding', inputs: ['a'] }] })
  await settled(stage)
  expect([verse.sink.ended, embedding.sink.ended]).toEqual(['', 'completed'])
})
