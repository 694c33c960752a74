import { afterEach, beforeEach, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { silentLog } from '#runtime/log.ts'
import { type FakeApiServer, startFakeApiServer } from '#test/kubernetes/fakeApiServer.ts'
import { type Stand, standOn } from '#test/kubernetes/stand.ts'
import { createEventRecorder, type EventRecorder } from './events.ts'
import { resources } from './core/objects.ts'

let server: FakeApiServer
let stand: Stand
let now: number
let recorder: EventRecorder
beforeEach(async () => {
  server = await startFakeApiServer()
  stand = standOn(server)
  now = 0
  recorder = createEventRecorder({
    client: stand.client,
    regarding: resources.deployments,
    clock: { ...stand.clock, now: () => now },
    epochMs: () => 0,
    random: Math.random,
    instance: 'one',
    log: silentLog,
  })
})
afterEach(async () => {
  stand[Symbol.dispose]()
  await server[Symbol.asyncDispose]()
})

const about = { metadata: { name: 'smol', uid: 'u1' } }
const occurrence = (note: string) => ({ type: 'Normal', reason: 'Serving', action: 'Reconciling', note }) as const

test('an event names its pair, and the same words again are counted in it', async () => {
  recorder.say(about, occurrence('ready'))
  await recorder.idle()
  recorder.say(about, occurrence('ready'))
  await recorder.idle()
  const [event, ...others] = server.objects('events')
  expect(others).toEqual([])
  expect(event).toMatchObject({ regarding: { kind: 'ModelDeployment', name: 'smol', uid: 'u1' }, series: { count: 2 } })
  now = limits.cluster.eventSeriesMs + 1
  recorder.say(about, occurrence('ready'))
  await recorder.idle()
  expect(server.objects('events')).toHaveLength(2)
})

test('a pair that has too much to say is cut short, and may say more after a while', async () => {
  for (let i = 0; i < 100; i++) recorder.say(about, occurrence(`word ${i}`))
  await recorder.idle()
  expect(server.objects('events')).toHaveLength(limits.cluster.eventsBurst)
  expect(recorder.dropped).toBe(100 - limits.cluster.eventsBurst)
  now = limits.cluster.eventIntervalMs
  for (let i = 0; i < 5; i++) recorder.say(about, occurrence(`later ${i}`))
  await recorder.idle()
  expect(server.objects('events')).toHaveLength(limits.cluster.eventsBurst + 1)
})

test('an event that cannot be written is dropped without a word to anybody', async () => {
  server.fault = () => ({ kind: 'status', status: 403 })
  recorder.say(about, occurrence('ready'))
  await recorder.idle()
  expect(recorder.dropped).toBe(1)
})
