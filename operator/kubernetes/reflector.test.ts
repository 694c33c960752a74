/** The reflector against the fake API server over real HTTP; only time runs faster. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '#runtime/log.ts'
import { type FakeApiServer, startFakeApiServer } from '#test/kubernetes/fakeApiServer.ts'
import { fastClock } from '#test/kubernetes/fastClock.ts'
import { eventually, type Stand, standOn } from '#test/kubernetes/stand.ts'
import { type ConfigMap, nameOf, resources, versionOf } from './core/objects.ts'
import { createReflector, type Reflector } from './reflector.ts'

let server: FakeApiServer
let stand: Stand
let reflector: Reflector<ConfigMap>
let told: string[]

beforeEach(async () => {
  server = await startFakeApiServer()
  stand = standOn(server)
  told = []
  reflector = makeReflector()
})
afterEach(async () => {
  reflector.stop()
  stand[Symbol.dispose]()
  await server[Symbol.asyncDispose]()
})

const makeReflector = () =>
  createReflector<ConfigMap>({
    client: stand.client,
    resource: resources.configMaps,
    clock: stand.clock,
    random: Math.random,
    log: silentLog,
    onChange: (name, { now }) => told.push(`${now === undefined ? '-' : '+'}${name}`),
  })

const put = (name: string, value: string) =>
  server.put('configmaps', { metadata: { ...server.object('configmaps', name)?.metadata, name }, data: { value } })
const have = () => [...reflector.values()].map((map) => `${nameOf(map)} ${versionOf(map)}`).toSorted()
const truth = () =>
  server
    .objects('configmaps')
    .map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`)
    .toSorted()
const converged = () =>
  eventually(
    () => have().join() === truth().join(),
    () => `${have().join()} is not ${truth().join()}`,
  )
const watching = () =>
  eventually(
    () => server.watchers === 1,
    () => `${server.watchers} watchers`,
  )
const lists = () => server.requests.filter(({ query }) => !query.has('watch')).length

describe('the reflector', () => {
  test('reads a list in pages, then follows it', async () => {
    for (let i = 0; i < 1_201; i++) put(`map-${i}`, 'a')
    await reflector.start()
    expect(lists()).toBe(3)
    expect(reflector.size).toBe(1_201)
    await watching()
    put('late', 'b')
    await converged()
    expect(told.at(-1)).toBe('+late')
  })

  test('goes on from the last version told when a watch is cut, without a new list and without telling anything twice', async () => {
    put('one', 'a')
    await reflector.start()
    await watching()
    server.cutWatches()
    put('two', 'a')
    server.delete('configmaps', 'one')
    await converged()
    expect(lists()).toBe(1)
    expect(told).toEqual(['+one', '+two', '-one'])
  })

  test('lists again when its version is forgotten, and tells what went meanwhile', async () => {
    put('one', 'a')
    await reflector.start()
    await watching()
    server.fault = ({ query }) => (query.has('watch') ? { kind: 'cut' } : null)
    server.cutWatches()
    server.delete('configmaps', 'one')
    put('two', 'a')
    server.compact()
    server.fault = () => null
    await converged()
    expect(lists()).toBe(2)
    expect(told).toEqual(['+one', '-one', '+two'])
  })

  test('keeps its place by bookmarks while nothing of its own happens', async () => {
    put('one', 'a')
    await reflector.start()
    await watching()
    server.put('secrets', { metadata: { name: 'other' } })
    server.bookmark()
    server.compact()
    put('two', 'a')
    await converged()
    server.cutWatches()
    put('three', 'a')
    await converged()
    expect(lists()).toBe(1)
  })

  test('replaces a watch that has fallen silent', async () => {
    using hasty = standOn(server, { clock: fastClock(1_000) })
    stand = hasty
    reflector = makeReflector()
    await reflector.start()
    await watching()
    const first = server.requests.length
    await eventually(
      () => server.requests.length > first,
      () => 'no new watch',
    )
    put('one', 'a')
    await converged()
  })

  test('knows an own write before the watch tells it, and does not bring back what has gone', async () => {
    await reflector.start()
    await watching()
    const written = put('one', 'a') as unknown as ConfigMap
    reflector.remember(written)
    expect(have()).toEqual(truth())
    server.delete('configmaps', 'one')
    await converged()
    reflector.remember(written)
    expect(have()).toEqual([])
  })

  test('starts although the server refuses at first, and says so only by being late', async () => {
    let refusals = 6
    server.fault = () => (refusals-- > 0 ? { kind: 'status', status: refusals % 2 === 0 ? 500 : 429 } : null)
    put('one', 'a')
    await reflector.start()
    expect(have()).toEqual(truth())
  })
})

test('whatever happens to lists and watches, the cache ends equal to the server', async () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('put' as const), name: fc.constantFrom('a', 'b', 'c', 'd') }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('delete' as const), name: fc.constantFrom('a', 'b', 'c', 'd') }),
    },
    fc.record({ kind: fc.constantFrom('cut', 'compact', 'bookmark', 'repeat', 'refuse', 'lose', 'turn') }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 50 }), async (steps, pieceLength) => {
      await using fresh = await startFakeApiServer()
      server = fresh
      using on = standOn(fresh)
      stand = on
      told = []
      reflector = makeReflector()
      fresh.pieces = (text) => text.match(new RegExp(`[\\s\\S]{1,${pieceLength}}`, 'g')) ?? []
      let faults = 0
      fresh.fault = () => (faults-- > 0 ? { kind: faults % 2 === 0 ? 'cut' : 'lost' } : null)
      const begun = reflector.start()
      for (const [index, act] of steps.entries()) {
        if (act.kind === 'put' && 'name' in act) put(act.name, `${index}`)
        else if (act.kind === 'delete' && 'name' in act) fresh.delete('configmaps', act.name)
        else if (act.kind === 'cut') fresh.cutWatches()
        else if (act.kind === 'compact') fresh.compact()
        else if (act.kind === 'bookmark') fresh.bookmark()
        else if (act.kind === 'repeat') fresh.repeat(3)
        else if (act.kind === 'refuse') faults = 2
        else await new Promise((resolve) => setTimeout(resolve, 1))
      }
      faults = 0
      await begun
      await converged()
      reflector.stop()
    }),
    { numRuns: 200 },
  )
})
