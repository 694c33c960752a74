/** What every implementation of the bus port does: `test/simulate/fakeBus.ts` and `runtime/nats.ts` on a real nats-server. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DeploymentName, RouterId, WorkerId } from '#contracts/ids.ts'
import { type Bucket, subjects } from '#contracts/subjects.ts'
import type { Bus } from '#runtime/bus.ts'
import { findNatsServer } from '#test/integration/support/natsServer.ts'
import { type BusStand, createFakeStand, createRealStand } from './busStand.ts'

const program = findNatsServer()
if (program === null)
  console.warn('the real bus is not tested: no nats-server on PATH, PACELINE_NATS_SERVER is not set')

const stream = subjects.stream(RouterId.parse('r1'))
const reportOf = (worker: string) => subjects.report(DeploymentName.parse('d1'), WorkerId.parse(worker))

describe.each([
  { name: 'the fake network', create: createFakeStand, present: true },
  { name: 'a real nats-server', create: createRealStand, present: program !== null },
])('$name', ({ create, present }) => {
  const suite = present ? test : test.skip
  let stand: BusStand
  beforeEach(async () => {
    if (present) stand = await create()
  })
  afterEach(async () => {
    if (present) await stand.dispose()
  })

  suite('messages of one publisher arrive once, in order and unchanged', async () => {
    const [worker, router] = [await stand.connect('worker'), await stand.connect('router')]
    const got = await listen(router, stream)
    const sent = Array.from({ length: 500 }, (_, i) => `${i}:${'ü'.repeat(i % 7)}`)
    for (const text of sent) worker.publish(stream, bytes(text))
    await stand.until(() => got.length >= sent.length)
    expect(got.map(([, text]) => text)).toEqual(sent)
  })

  suite('wildcards match, handlers see the subject, and every subscription gets its copy', async () => {
    const [worker, router] = [await stand.connect('worker'), await stand.connect('router')]
    const all = await listen(router, subjects.allReports)
    const one = await listen(router, reportOf('w1'))
    for (const name of ['w1', 'w2']) worker.publish(reportOf(name), bytes(name))
    await stand.until(() => all.length === 2 && one.length === 1)
    expect(all).toEqual([
      [reportOf('w1'), 'w1'],
      [reportOf('w2'), 'w2'],
    ])
    expect(one).toEqual([[reportOf('w1'), 'w1']])
  })

  suite('what was published before a removal arrives before it: last words are heard', async () => {
    const [worker, router] = [await stand.connect('worker'), await stand.connect('router')]
    const heard: string[] = []
    router.subscribe(stream, (payload) => heard.push(text(payload)))
    const put = worker.put('workers', 'w1', bytes('here'))
    await router.watch('workers', {
      entry: ({ value }) => heard.push(value === null ? 'gone' : 'here'),
      synced: () => undefined,
    })
    await stand.until(() => heard.length === 1)
    // The subscription is known to the server by now: both went the same way, and that one has been answered.
    worker.publish(stream, bytes('last words'))
    const removed = worker.remove('workers', 'w1')
    // Somebody who holds the event loop now, as an engine does.
    for (const end = performance.now() + 50; performance.now() < end; ) continue
    await stand.until(() => heard.length === 3)
    await Promise.all([put, removed])
    expect(heard).toEqual(['here', 'last words', 'gone'])
  })

  suite('after unsubscribe nothing more is delivered', async () => {
    const [worker, router] = [await stand.connect('worker'), await stand.connect('router')]
    const got: string[] = []
    const subscription = router.subscribe(stream, (payload) => got.push(text(payload)))
    const rest = await listen(router, stream)
    worker.publish(stream, bytes('before'))
    await stand.until(() => rest.length === 1)
    subscription.unsubscribe()
    worker.publish(stream, bytes('after'))
    await stand.until(() => rest.length === 2)
    expect(got).toEqual(['before'])
  })

  suite('flush resolves when the server has what was published', async () => {
    const [worker, router] = [await stand.connect('worker'), await stand.connect('router')]
    const got = await listen(router, stream)
    worker.publish(stream, bytes('x'))
    await settled(stand, worker.flush())
    await settled(stand, router.flush())
    await stand.until(() => got.length === 1)
  })

  suite('a watch lists what is there, says synced, then tells every change', async () => {
    const [worker, operator] = [await stand.connect('worker'), await stand.connect('operator')]
    await settled(stand, worker.put('workers', 'w1', bytes('one')))
    const seen = await watch(await stand.connect('router'), 'workers')
    await stand.until(() => seen.includes('synced'))
    await settled(stand, worker.put('workers', 'w2', bytes('two')))
    await settled(stand, operator.remove('workers', 'w1'))
    await stand.until(() => seen.length === 4)
    expect(seen).toEqual(['w1=one', 'synced', 'w2=two', 'w1 gone'])
  })

  suite('an empty bucket is synced at once, and a key that a watcher never saw is not told as gone', async () => {
    const operator = await stand.connect('operator')
    await settled(stand, operator.put('models', 'm1', bytes('x')))
    await settled(stand, operator.remove('models', 'm1'))
    const seen = await watch(await stand.connect('router'), 'models')
    await stand.until(() => seen.includes('synced'))
    await settled(stand, operator.remove('models', 'm1'))
    await settled(stand, operator.put('models', 'm2', bytes('y')))
    await stand.until(() => seen.includes('m2=y'))
    expect(seen).toEqual(['synced', 'm2=y'])
  })

  suite('a registration that is not refreshed expires and watchers are told', async () => {
    const worker = await stand.connect('worker')
    const seen = await watch(await stand.connect('router'), 'workers')
    await settled(stand, worker.put('workers', 'w1', bytes('one')))
    await stand.until(() => seen.includes('w1=one'))
    await stand.until(() => seen.includes('w1 gone'), 15_000)
  })

  suite('a server restart shows as disconnected, connected; subscriptions and watches go on', async () => {
    const [worker, router] = [await stand.connect('worker'), await stand.connect('router')]
    const states: string[] = []
    router.onState((state) => states.push(state))
    const got = await listen(router, stream)
    const seen = await watch(router, 'workers')
    await settled(stand, worker.put('workers', 'w1', bytes('one')))
    await stand.until(() => seen.includes('w1=one'))
    await stand.restart({ keepBuckets: true })
    await stand.until(() => states.length === 2 && worker.state === 'connected')
    expect(states).toEqual(['disconnected', 'connected'])
    // Both are connected, but the server may hear the worker's message before it hears what the router subscribes to.
    await settled(stand, router.flush())
    worker.publish(stream, bytes('again'))
    await stand.until(() => got.length === 1)
    await stand.until(() => seen.filter((event) => event === 'synced').length === 2)
    expect(seen.at(-1)).toBe('synced')
    expect(seen.filter((event) => event === 'w1 gone')).toEqual([])
  })

  suite('a server that lost its files: watchers are told which keys are gone', async () => {
    const [worker, router] = [await stand.connect('worker'), await stand.connect('router')]
    const seen = await watch(router, 'workers')
    await settled(stand, worker.put('workers', 'w1', bytes('one')))
    await stand.until(() => seen.includes('w1=one'))
    await stand.restart({ keepBuckets: false })
    await stand.until(() => seen.length === 4)
    expect(seen).toEqual(['synced', 'w1=one', 'w1 gone', 'synced'])
  })

  suite('while disconnected, messages are dropped and writes fail with bus-unavailable', async () => {
    const [worker, router] = [await stand.connect('worker'), await stand.connect('router')]
    const got = await listen(router, stream)
    await stand.restart({ keepBuckets: true })
    await stand.until(() => worker.state === 'disconnected')
    worker.publish(stream, bytes('lost'))
    await expect(worker.put('workers', 'w1', bytes('x'))).rejects.toMatchObject({ code: 'bus-unavailable' })
    await expect(worker.flush()).rejects.toMatchObject({ code: 'bus-unavailable' })
    await stand.until(() => worker.state === 'connected' && router.state === 'connected')
    await settled(stand, router.flush())
    worker.publish(stream, bytes('kept'))
    await stand.until(() => got.length > 0)
    await stand.pass(100)
    expect(got.map(([, value]) => value)).toEqual(['kept'])
  })

  suite('what was published before close arrives; afterwards the bus is closed', async () => {
    const [worker, router] = [await stand.connect('worker'), await stand.connect('router')]
    const got = await listen(router, stream)
    const states: string[] = []
    worker.onState((state) => states.push(state))
    worker.publish(stream, bytes('last'))
    await worker.close()
    await worker.close()
    await stand.until(() => got.length === 1)
    expect(states).toEqual(['closed'])
    expect(worker.state).toBe('closed')
    expect(() => worker.publish(stream, bytes('x'))).toThrow(expect.objectContaining({ code: 'bus-unavailable' }))
  })

  /** Subscribes and waits until the server knows. */
  async function listen(bus: Bus, subject: string): Promise<[string, string][]> {
    const got: [string, string][] = []
    bus.subscribe(subject, (payload, given) => got.push([given, text(payload)]))
    await settled(stand, bus.flush())
    return got
  }

  async function watch(bus: Bus, bucket: Bucket): Promise<string[]> {
    const seen: string[] = []
    await bus.watch(bucket, {
      entry: ({ key, value }) => seen.push(value === null ? `${key} gone` : `${key}=${text(value)}`),
      synced: () => seen.push('synced'),
    })
    await stand.until(() => seen.includes('synced'))
    return seen
  }
})

/** Waits for a promise that needs time to move. */
async function settled(stand: BusStand, promise: Promise<void>): Promise<void> {
  const state = { done: false }
  const watched = promise.finally(() => {
    state.done = true
  })
  watched.catch(() => undefined)
  await stand.until(() => state.done)
  await watched
}

function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

function text(payload: Uint8Array): string {
  return new TextDecoder().decode(payload)
}
