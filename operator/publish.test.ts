import { createHash } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import { Failure } from '#contracts/failure.ts'
import { DeploymentName, RouteName } from '#contracts/ids.ts'
import type { RouteRecord } from '#contracts/records.ts'
import { ApiKeySecret, apiKeySecretType } from '#contracts/resources/apiKey.ts'
import type { Bus } from '#runtime/bus.ts'
import { silentLog } from '#runtime/log.ts'
import { encode } from '#runtime/messages.ts'
import { createFakeNetwork, type FakeNetwork } from '#test/simulate/fakeBus.ts'
import { createFakeClock, type FakeClock } from '#test/simulate/fakeClock.ts'
import { createRandom } from '#test/simulate/random.ts'
import { recordOf } from './core/record.ts'
import { desiredFor, observedOf, specOf } from './core/testing.ts'
import { Publisher } from './publish.ts'
import { createListsQueue } from './queues.ts'

const name = DeploymentName.parse('smol')
const record = recordOf(observedOf(), desiredFor(specOf()), 0)
const secretOf = (key: string, fields: object = {}) =>
  ApiKeySecret.parse({
    apiVersion: 'v1',
    kind: 'Secret',
    type: apiKeySecretType,
    metadata: { name: 'x' },
    stringData: { key, tenant: 'team', ...fields },
  })
const hash = (key: string) => createHash('sha256').update(key).digest('hex')

let clock: FakeClock
let network: FakeNetwork
const listed: string[] = []
beforeEach(() => {
  clock = createFakeClock()
  network = createFakeNetwork({ clock, random: createRandom(1) })
  listed.length = 0
})

async function through<T>(work: Promise<T>): Promise<T> {
  await clock.advance(100)
  return work
}

async function opened(): Promise<Publisher> {
  const bus = network.connect('operator')
  const publisher = new Publisher({ bus, log: silentLog, onListed: (bucket) => listed.push(bucket) })
  await through(publisher.open())
  return publisher
}

test('what an earlier operator left is known once the buckets are open', async () => {
  network.buckets.put('models', 'smol', encode(record))
  const publisher = await opened()
  expect(publisher.names()).toEqual([name])
  expect(publisher.recordOf(name)).toEqual(record)
  await through(publisher.removeRecord(name))
  expect(network.buckets.keys('models')).toEqual([])
})

test('a record of another form counts as not there, so that it is written anew', async () => {
  network.buckets.put('models', 'smol', encode({ deployment: 'smol' }))
  const publisher = await opened()
  expect(publisher.recordOf(name)).toBeNull()
})

test('keys are published by their hash only, and the bucket is never empty while they are exchanged', async () => {
  const publisher = await opened()
  publisher.setKeys([secretOf('old-key-0123456789')])
  await through(publisher.syncKeys())
  expect(network.buckets.keys('keys')).toEqual([hash('old-key-0123456789')])
  const sizes: number[] = []
  const watcher = network.connect('router')
  const there = new Set<string>()
  await through(
    watcher.watch('keys', {
      entry: ({ key, value }) => {
        if (value === null) there.delete(key)
        else there.add(key)
        sizes.push(there.size)
      },
      synced: () => undefined,
    }),
  )
  publisher.setKeys([secretOf('new-key-0123456789')])
  await through(publisher.syncKeys())
  await clock.advance(100)
  expect([...there]).toEqual([hash('new-key-0123456789')])
  expect(Math.min(...sizes)).toBeGreaterThan(0)
})

test('a key whose weight changed is written again, one that did not is left alone', async () => {
  const publisher = await opened()
  publisher.setKeys([secretOf('a-key-0123456789ab'), secretOf('b-key-0123456789ab')])
  await through(publisher.syncKeys())
  const written: string[] = []
  network.tap((client, subject) => {
    if (client === 'operator' && subject.includes('keys')) written.push(subject)
  })
  const before = network.counts.published
  publisher.setKeys([secretOf('a-key-0123456789ab', { weight: 3 }), secretOf('b-key-0123456789ab')])
  await through(publisher.syncKeys())
  await through(publisher.syncKeys())
  expect(network.counts.published - before).toBeLessThanOrEqual(1)
})

test('routes are written as a whole: what is new or changed is put, what is no longer wanted goes', async () => {
  const route = (weight: number): RouteRecord => ({
    route: RouteName.parse('helper'),
    name: 'assistant',
    created: 1,
    policy: { kind: 'weighted', targets: [{ deployment: name, weight }] },
  })
  network.buckets.put('routes', 'left-over', encode(route(1)))
  const publisher = await opened()
  publisher.setRoutes([route(1)])
  await through(publisher.syncRoutes())
  expect(publisher.routeNames()).toEqual(['helper'])
  expect(network.buckets.keys('routes')).toEqual(['helper'])
  const before = network.counts.published
  await through(publisher.syncRoutes())
  expect(network.counts.published).toBe(before)
  publisher.setRoutes([])
  await through(publisher.syncRoutes())
  expect(network.buckets.keys('routes')).toEqual([])
})

test('a route that cannot be written holds up no other, neither those after it nor the removal of one that is gone', async () => {
  const route = (of: string): RouteRecord => ({
    route: RouteName.parse(of),
    name: of,
    created: 1,
    policy: { kind: 'direct', deployment: name },
  })
  const bus = network.connect('operator')
  const refusing: Bus = {
    ...bus,
    put: (bucket, key, value) =>
      key === 'first' || bucket === 'keys'
        ? Promise.reject(new Failure('bus-unavailable', 'too large'))
        : bus.put(bucket, key, value),
    remove: (bucket, key) => bus.remove(bucket, key),
    watch: (bucket, watcher) => bus.watch(bucket, watcher),
  }
  network.buckets.put('routes', 'left-over', encode(route('left-over')))
  network.buckets.put('keys', 'old', encode({ tenant: 'team', weight: 1, priority: 0 }))
  const publisher = new Publisher({ bus: refusing, log: silentLog, onListed: () => undefined })
  await through(publisher.open())
  publisher.setRoutes([route('first'), route('second')])
  const refused = expect(publisher.syncRoutes()).rejects.toThrow('too large')
  await clock.advance(100)
  await refused
  expect(network.buckets.keys('routes')).toEqual(['second'])
  // A bucket without keys would open the router.
  publisher.setKeys([secretOf('new-key-0123456789')])
  const notYet = expect(publisher.syncKeys()).rejects.toThrow('too large')
  await clock.advance(100)
  await notYet
  expect(network.buckets.keys('keys')).toEqual(['old'])
})

test('many changes of routes make their records once', async () => {
  const publisher = await opened()
  let made = 0
  const queue = createListsQueue(
    { publisher, clock, log: silentLog },
    () => 0,
    () => {
      made += 1
      return []
    },
  )
  for (let i = 0; i < 20; i += 1) queue.add('routes')
  await clock.advance(100)
  expect(made).toBeLessThanOrEqual(2)
  await queue.stop()
})

test('a server that lost its files is noticed: every bucket is listed again and known to be empty', async () => {
  const publisher = await opened()
  await through(publisher.putRecord(name, record))
  listed.length = 0
  network.restartServer({ downMs: 50, spreadMs: 0, keepBuckets: false })
  await clock.advance(5_000)
  expect(listed.sort()).toEqual(['keys', 'models', 'routes'])
  expect(publisher.recordOf(name)).toBeNull()
})
