import { afterEach, beforeEach, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { silentLog } from '#runtime/log.ts'
import { type FakeApiServer, startFakeApiServer } from '#test/kubernetes/fakeApiServer.ts'
import { type Stand, standOn } from '#test/kubernetes/stand.ts'
import type { KubernetesClient } from './client.ts'
import { createEventRecorder, type EventRecorder } from './events.ts'
import { nameOf, resources } from './core/objects.ts'

let server: FakeApiServer
let stand: Stand
let now: number
let recorder: EventRecorder
beforeEach(async () => {
  server = await startFakeApiServer()
  stand = standOn(server)
  now = 0
  recorder = createEventRecorder(options())
})
afterEach(async () => {
  stand[Symbol.dispose]()
  await server[Symbol.asyncDispose]()
})

const options = () => ({
  client: stand.client,
  regarding: resources.deployments,
  clock: { ...stand.clock, now: () => now },
  epochMs: () => 0,
  random: Math.random,
  instance: 'one',
  log: silentLog,
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

test('at most two are written at once, in the order they were said; what still waits at the end is dropped', async () => {
  const asked: string[] = []
  let open = 0
  let openMax = 0
  const client: KubernetesClient = {
    ...stand.client,
    create: async (_resource, object) => {
      asked.push(nameOf(object).split('.')[0] ?? '')
      openMax = Math.max(openMax, ++open)
      await stand.client.get(resources.leases, 'none')
      open -= 1
      return { kind: 'created', object }
    },
  }
  const few = createEventRecorder({ ...options(), client })
  const names = Array.from({ length: 9 }, (_, index) => `pair-${index}`)
  for (const name of names) few.say({ metadata: { name, uid: name } }, occurrence('ready'))
  await few.idle()
  expect(asked).toEqual(names)
  expect(openMax).toBe(2)
  for (const name of names) few.say({ metadata: { name, uid: name } }, occurrence('gone'))
  await few.close()
  expect(few.dropped).toBe(7)
})
