import { expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { RouterReport } from '#contracts/messages.ts'
import { subjects } from '#contracts/subjects.ts'
import { decode } from '#runtime/messages.ts'
import { modelRecord } from './testing/fakeWorker.ts'
import { ask, type FakeStage, fakeStage, metricValue, nothingLeft, settled } from './testing/stage.ts'

const asleep = (holdMsMax: number = limits.queue.holdMsMax) => modelRecord({ scaling: { fromZero: true, holdMsMax } })

/** What the router tells the operator, with the time of each report. */
function reportsOf(stage: FakeStage): { at: number; held: number; queued: number }[] {
  const heard: { at: number; held: number; queued: number }[] = []
  stage.operator.subscribe(subjects.allRouterReports, (payload) => {
    const [demand] = decode(RouterReport, payload).deployments
    heard.push({ at: stage.clock.now(), held: demand?.held ?? 0, queued: demand?.queued ?? 0 })
  })
  return heard
}

test('without a worker a request is refused, unless its deployment scales from zero: then it is held and answered', async () => {
  const refusing = await fakeStage()
  expect(ask(refusing).sink.ended).toBe('no-worker')
  const stage = await fakeStage(asleep())
  const { sink } = ask(stage, { tokens: 3, deadlineMs: 60_000 })
  await stage.clock.advance(30_000)
  expect(sink.ended).toBe('')
  stage.worker({ name: 'w1', stepMs: 10 })
  await stage.clock.advance(500)
  expect(sink.text).toBe('t0 t1 t2 ')
  expect(sink.ended).toBe('completed')
  expect(nothingLeft(stage)).toEqual({ active: 0, attempts: 0 })
  expect(await metricValue(stage, 'paceline_hold_seconds_count{model="smol",outcome="placed"}')).toBe(1)
})

test('the operator hears of it at once, not with the next report', async () => {
  const stage = await fakeStage(asleep())
  const heard = reportsOf(stage)
  await stage.clock.advance(300)
  heard.length = 0
  const at = stage.clock.now()
  ask(stage)
  await stage.clock.advance(20)
  expect(heard).toHaveLength(1)
  expect(heard[0]).toMatchObject({ held: 1, queued: 1 })
  expect((heard[0]?.at ?? 0) - at).toBeLessThan(20)
})

test('a crowd of held requests is reported a few times, not once each', async () => {
  const stage = await fakeStage(asleep())
  const heard = reportsOf(stage)
  for (let i = 0; i < 40; i++) {
    ask(stage)
    await stage.clock.advance(5)
  }
  expect(heard.length).toBeLessThanOrEqual(200 / limits.router.heldReportMs + 2)
  expect(heard.at(-1)?.held).toBeGreaterThan(25)
})

test('held requests keep within the bounds of the queue', async () => {
  const stage = await fakeStage({ ...asleep(), queue: { requestsMax: 2, bytesMax: 1_000_000 } })
  expect([ask(stage), ask(stage), ask(stage)].map(({ sink }) => sink.ended)).toEqual(['', '', 'refused'])
  stage.router.observe()
  expect(await metricValue(stage, 'paceline_requests_held{model="smol"}')).toBe(2)
})

test('one that is held too long is answered with what happened and when to try again', async () => {
  const stage = await fakeStage(asleep(20_000))
  const { sink } = ask(stage, { deadlineMs: 120_000 })
  const short = ask(stage, { deadlineMs: 5_000 })
  await stage.clock.advance(5_100)
  expect(short.sink.ended).toBe('no-worker')
  expect(sink.ended).toBe('')
  await stage.clock.advance(15_000)
  const [outcome] = sink.outcomes
  expect(outcome?.kind === 'failed' ? outcome.failure : outcome).toMatchObject({
    code: 'no-worker',
    retry: { kind: 'after', afterMs: limits.queue.heldRetryAfterMs },
    message: expect.stringMatching(
      /^smol was scaled to zero; the request was held for 200\d\d ms and no worker was up by then/,
    ) as string,
  })
  expect(await metricValue(stage, 'paceline_hold_seconds_count{model="smol",outcome="expired"}')).toBe(2)
  expect(nothingLeft(stage)).toEqual({ active: 0, attempts: 0 })
})

test('a client that leaves is held no longer', async () => {
  const stage = await fakeStage(asleep())
  const { sink, handle } = ask(stage)
  handle.cancel()
  expect(sink.ended).toBe('cancelled')
  expect(stage.router.queued(modelRecord())).toBe(0)
  expect(await metricValue(stage, 'paceline_hold_seconds_count{model="smol",outcome="left"}')).toBe(1)
})

test('a pair whose last worker was lost holds as one that sleeps', async () => {
  const stage = await fakeStage(asleep())
  const worker = stage.worker({ name: 'w1', stepMs: 10 })
  await settled(stage)
  worker.stop()
  await stage.clock.advance(limits.worker.goneAfterMs + 1_000)
  const { sink } = ask(stage, { tokens: 1, deadlineMs: 60_000 })
  await stage.clock.advance(limits.queue.noWorkerWaitMs + 5_000)
  expect(sink.ended).toBe('')
  stage.worker({ name: 'w2', stepMs: 10 })
  await stage.clock.advance(1_000)
  expect(sink.ended).toBe('completed')
})

test('of a deployment where nothing is going on, nothing is reported', async () => {
  const stage = await fakeStage(asleep())
  const sizes: number[] = []
  stage.operator.subscribe(subjects.allRouterReports, (payload) =>
    sizes.push(decode(RouterReport, payload).deployments.length),
  )
  await stage.clock.advance(3_000)
  expect(new Set(sizes)).toEqual(new Set([0]))
  expect(sizes.length).toBeGreaterThanOrEqual(2)
})
