import { expect, test } from 'vitest'
import type { Bus } from '#runtime/bus.ts'
import { createFakeNetwork, type NetworkOptions } from './fakeBus.ts'
import { createFakeClock } from './fakeClock.ts'
import { createRandom } from './random.ts'
import { subjectMatches } from './subjectMatch.ts'

function setUp(faults: NetworkOptions['faults'] = {}, seed = 1) {
  const clock = createFakeClock()
  const network = createFakeNetwork({ clock, random: createRandom(seed), faults })
  return { clock, network }
}

function collect(bus: Bus, subject: string): number[] {
  const got: number[] = []
  bus.subscribe(subject, (payload) => got.push(payload[0] ?? -1))
  return got
}

function publishMany(bus: Bus, subject: string, count: number): void {
  for (let i = 0; i < count; i++) bus.publish(subject, Uint8Array.of(i))
}

test('wildcards match whole tokens', () => {
  expect(subjectMatches('a.*.c', 'a.b.c')).toBe(true)
  expect(subjectMatches('a.*', 'a.b.c')).toBe(false)
  expect(subjectMatches('a.>', 'a.b.c')).toBe(true)
  expect(subjectMatches('a.>', 'a')).toBe(false)
})

test('jitter reorders publishers among each other and never the messages of one', () => {
  const { clock, network } = setUp({ delayMs: { min: 1, max: 50 } })
  const [a, b, c] = [network.connect('a'), network.connect('b'), network.connect('c')]
  const fromA = collect(c, 'from.a')
  const order: string[] = []
  c.subscribe('from.*', (_, subject) => order.push(subject))
  for (let i = 0; i < 20; i++) {
    a.publish('from.a', Uint8Array.of(i))
    b.publish('from.b', Uint8Array.of(i))
  }
  clock.advanceNow(200)
  expect(fromA).toEqual([...Array(20).keys()])
  expect(order).not.toEqual(Array(20).fill(['from.a', 'from.b']).flat())
})

test('loss and duplication happen at their rates and are the same for the same seed', () => {
  const run = () => {
    const { clock, network } = setUp({ lossRate: 0.2, duplicateRate: 0.1 }, 5)
    const got = collect(network.connect('b'), 'x')
    publishMany(network.connect('a'), 'x', 200)
    clock.advanceNow(10)
    return got
  }
  const got = run()
  expect(new Set(got).size).toBeLessThan(200)
  expect(got.length).toBeGreaterThan(new Set(got).size)
  expect(run()).toEqual(got)
})

test('an unnoticed partition delivers late and in order; a noticed one loses and reconnects', () => {
  const { clock, network } = setUp()
  const [a, b] = [network.connect('a'), network.connect('b')]
  const got = collect(b, 'x')
  const states: string[] = []
  b.onState((state) => states.push(state))
  network.partition('b', { forMs: 100, noticeMs: 1_000 })
  publishMany(a, 'x', 3)
  clock.advanceNow(50)
  expect(got).toEqual([])
  clock.advanceNow(60)
  expect(got).toEqual([0, 1, 2])
  network.partition('b', { forMs: 500, noticeMs: 100 })
  publishMany(a, 'x', 3)
  clock.advanceNow(1_000)
  expect(got).toEqual([0, 1, 2])
  expect(states).toEqual(['disconnected', 'connected'])
})

test('a killed process hears and says nothing more and its name is free again', () => {
  const { clock, network } = setUp()
  const [a, b] = [network.connect('a'), network.connect('b')]
  const got = collect(b, 'x')
  publishMany(a, 'x', 1)
  network.kill('b')
  clock.advanceNow(10)
  expect(got).toEqual([])
  expect(network.subscriptions('b')).toEqual([])
  expect(network.connect('b').state).toBe('connected')
})

test('a frozen process gets its messages when it thaws', () => {
  const { clock, network } = setUp()
  const [a, b] = [network.connect('a'), network.connect('b')]
  const got = collect(b, 'x')
  network.freeze('b')
  publishMany(a, 'x', 2)
  clock.advanceNow(100)
  expect(got).toEqual([])
  network.thaw('b')
  expect(got).toEqual([0, 1])
})

test('a registration expires when it is not refreshed', async () => {
  const { clock, network } = setUp()
  const a = network.connect('a')
  void a.put('workers', 'w1', Uint8Array.of(1))
  await clock.advance(9_000)
  expect(network.buckets.keys('workers')).toEqual(['w1'])
  await clock.advance(2_000)
  expect(network.buckets.keys('workers')).toEqual([])
})

test('a server that lost its files tells watchers that their keys are gone', async () => {
  const { clock, network } = setUp()
  const a = network.connect('a')
  const seen: string[] = []
  await a.watch('models', {
    entry: ({ key, value }) => seen.push(`${key}=${value === null ? 'gone' : value.join()}`),
    synced: () => seen.push('synced'),
  })
  void a.put('models', 'm', Uint8Array.of(7))
  await clock.advance(10)
  network.restartServer({ downMs: 100, spreadMs: 50, keepBuckets: false })
  await clock.advance(1_000)
  expect(seen).toEqual(['synced', 'm=7', 'm=gone', 'synced'])
})
