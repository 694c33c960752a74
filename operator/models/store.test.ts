/** The model store against real files and a real HTTP server on this machine; only the clock is not real. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ModelFile } from '#contracts/resources/modelDeployment.ts'
import { DeploymentName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { silentLog } from '#runtime/log.ts'
import { createFakeClock, type FakeClock } from '#test/simulate/fakeClock.ts'
import type { ModelState } from '../core/observed.ts'
import { type ModelStore, type ModelStoreOptions, openModelStore } from './store.ts'
import { type Misbehaviour, serveContent } from './testServer.ts'

const owner = DeploymentName.parse('smol')
const content = randomBytes(3_000_000)
const sha256 = createHash('sha256').update(content).digest('hex')
const from = (...sources: string[]): ModelFile => ({ source: sources[0] ?? '', mirrors: sources.slice(1), sha256 })

let folder: string
let clock: FakeClock
const events: string[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'paceline-models-'))
  clock = createFakeClock(0)
  events.length = 0
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const openStore = (options: Partial<ModelStoreOptions> = {}): Promise<ModelStore> =>
  openModelStore({
    cacheDir: folder,
    settings: { huggingFaceEndpoint: 'https://hub.example', huggingFaceToken: null },
    offline: false,
    clock,
    random: () => 0,
    pid: process.pid,
    log: silentLog,
    onFetched: (result) => events.push(result),
    onFreshBytes: () => undefined,
    ...options,
  })

/** Fetches and lets time pass (for the waits between attempts) until there is a result. */
async function fetched(store: ModelStore, file: ModelFile): Promise<ModelState> {
  void store.fetch(file, owner)
  while (store.stateOf(file).kind === 'fetching') {
    await new Promise(setImmediate)
    clock.advanceNow(5)
  }
  return store.stateOf(file)
}

const cachedFile = (name = `${sha256}.gguf`) => join(folder, 'models', 'sha256', name)
const ready = { kind: 'ready', path: expect.stringContaining(`${sha256}.gguf`) as string }
const message = (state: ModelState) => (state.kind === 'failed' ? state.message : state.kind)

test('a model is fetched once, verified, and found in the cache by the next process', async () => {
  await using server = await serveContent(content)
  const file = from(server.url)
  expect(await fetched(await openStore(), file)).toEqual(ready)
  expect((await readFile(cachedFile())).equals(content)).toBe(true)
  expect(await fetched(await openStore(), file)).toEqual(ready)
  expect(server.ranges).toEqual(['-'])
  expect(events).toEqual(['fetched', 'cached'])
  expect((await readdir(join(folder, 'models', 'sha256'))).sort()).toEqual([`${sha256}.gguf`, `${sha256}.json`])
})

test('two deployments and two processes that want one content download it once', async () => {
  await using server = await serveContent(content)
  const first = await openStore()
  const second = await openStore({ pid: process.ppid })
  const file = from(server.url)
  void first.fetch(file, owner)
  void first.fetch(file, owner)
  expect(await fetched(second, file)).toEqual(ready)
  expect(await fetched(first, file)).toEqual(ready)
  expect(server.ranges).toEqual(['-'])
  expect(events.sort()).toEqual(['cached', 'fetched'])
})

describe('a download that is interrupted', () => {
  test.each<[string, Misbehaviour, RegExp]>([
    ['resumes where the connection broke', { breakAfterBytes: 1_000_000, breaks: 2 }, /^-,bytes=\d+-,bytes=\d+-$/],
    [
      'starts over where the server cannot resume',
      { breakAfterBytes: 1_000_000, breaks: 1, ignoreRange: true },
      /^-,bytes=\d+-$/,
    ],
    ['does not need a length', { noLength: true }, /^-$/],
  ])('%s', async (_name, misbehaviour, ranges) => {
    await using server = await serveContent(content, misbehaviour)
    expect(await fetched(await openStore(), from(server.url))).toEqual(ready)
    expect(server.ranges.join()).toMatch(ranges)
  })

  test('is resumed by the next process, from another mirror', async () => {
    await using broken = await serveContent(content, { pauseAfterBytes: 1_000_000 })
    const first = await openStore()
    void first.fetch(from(broken.url), owner)
    while ((await stat(cachedFile(`${sha256}.part`)).catch(() => null)) === null) await new Promise(setImmediate)
    while ((await stat(cachedFile(`${sha256}.part`))).size < 1_000_000) await new Promise(setImmediate)
    await first.close()
    await using mirror = await serveContent(content)
    expect(await fetched(await openStore(), from(mirror.url))).toEqual(ready)
    expect(mirror.ranges).toEqual(['bytes=1000000-'])
  })

  test('gives up after some attempts without a new byte, and says so', async () => {
    await using server = await serveContent(content, { breakAfterBytes: 0 })
    const state = await fetched(await openStore(), from(server.url))
    expect(message(state)).toMatch(/no source gave the model; http:.*model\.gguf: .*; correct the source or its sha256/)
    expect(server.ranges).toHaveLength(limits.fetch.attemptsMax)
    expect(state).toMatchObject({ kind: 'failed', retryAt: expect.any(Number) as number })
  })

  test('counts silence as a break', async () => {
    await using server = await serveContent(content, { stalls: true })
    expect(message(await fetched(await openStore(), from(server.url)))).toMatch(/no byte for 30000 ms/)
  }, 20_000)
})

describe('content that is not what is pinned', () => {
  const wrong = randomBytes(1_000)
  const wrongHash = createHash('sha256').update(wrong).digest('hex')

  test('is removed and fetched again once', async () => {
    await using server = await serveContent(content, { wrongContent: wrong, wrongTimes: 1 })
    expect(await fetched(await openStore(), from(server.url))).toEqual(ready)
    expect(server.ranges).toEqual(['-', '-'])
  })

  test('a second time is an error that names both hashes, and leaves nothing behind', async () => {
    await using server = await serveContent(content, { wrongContent: wrong })
    const state = await fetched(await openStore(), from(server.url))
    expect(message(state)).toContain(`its SHA-256 is ${wrongHash}, pinned is ${sha256}`)
    expect(await readdir(join(folder, 'models', 'sha256'))).toEqual([])
  })

  test('the half of another content is found out by the hash and fetched anew', async () => {
    await openStore()
    await writeFile(cachedFile(`${sha256}.part`), randomBytes(500_000))
    await using server = await serveContent(content)
    expect(await fetched(await openStore(), from(server.url))).toEqual(ready)
    expect(server.ranges).toEqual(['bytes=500000-', '-'])
  })

  test('a part that is already whole needs no byte more', async () => {
    await openStore()
    await writeFile(cachedFile(`${sha256}.part`), content)
    await using server = await serveContent(content)
    expect(await fetched(await openStore(), from(server.url))).toEqual(ready)
    expect(server.ranges).toEqual([`bytes=${content.length}-`])
  })
})

test('mirrors are tried in order, and a failure says why each one did not do', async () => {
  await using missing = await serveContent(content, { status: 404 })
  await using forbidden = await serveContent(content, { status: 403 })
  await using good = await serveContent(content)
  const file = from(missing.url, forbidden.url, 'file:///no/such/file.gguf')
  const state = message(await fetched(await openStore(), file))
  expect(state).toMatch(/HTTP 404.*HTTP 403.*file:\/\/\/no\/such\/file\.gguf: no such file/)
  expect(await fetched(await openStore(), from(missing.url, good.url))).toEqual(ready)
})

describe('a cached file', () => {
  const cache = async () => {
    await using server = await serveContent(content)
    await fetched(await openStore(), from(server.url))
  }

  test('that was only touched is hashed again and kept', async () => {
    await cache()
    await utimes(cachedFile(), 1, 1)
    expect(await fetched(await openStore(), from('https://nowhere.example/x'))).toEqual(ready)
  })

  test('that was damaged is removed and fetched again', async () => {
    await cache()
    await writeFile(cachedFile(), 'damaged')
    await using server = await serveContent(content)
    expect(await fetched(await openStore(), from(server.url))).toEqual(ready)
    expect((await readFile(cachedFile())).equals(content)).toBe(true)
  })

  test('that disappears under a running operator is noticed before a worker is started on it', async () => {
    await using server = await serveContent(content)
    const store = await openStore()
    const file = from(server.url)
    await fetched(store, file)
    expect(await store.confirm(file)).toBe(cachedFile())
    await rm(cachedFile())
    expect(await store.confirm(file)).toBeNull()
    expect(store.stateOf(file)).toEqual({ kind: 'absent' })
  })
})

test('a file on this machine is verified where it is, not copied', async () => {
  const path = join(folder, 'mine.gguf')
  await writeFile(path, content)
  expect(await fetched(await openStore(), from(`file://${path}`))).toEqual(ready)
  expect((await stat(cachedFile())).ino).toBe((await stat(path)).ino)
})

test('offline, what is cached or on this machine is used, and everything else says what to do', async () => {
  const offline = await openStore({ offline: true })
  const state = await fetched(offline, from('https://nowhere.example/x'))
  expect(state).toMatchObject({ kind: 'failed', retryAt: null })
  expect(message(state)).toMatch(/not tried, offline.*put the file into the cache/)
})

test('a dead process that left its lock does not hold up the next', async () => {
  await openStore()
  await writeFile(cachedFile(`${sha256}.lock`), '999999999')
  await using server = await serveContent(content)
  expect(await fetched(await openStore(), from(server.url))).toEqual(ready)
  expect(await readdir(join(folder, 'models', 'sha256'))).not.toContain(`${sha256}.lock`)
})

test('a lock that nobody touches any more is taken over even where its process number lives on', async () => {
  await openStore()
  await writeFile(cachedFile(`${sha256}.lock`), String(process.ppid))
  await using server = await serveContent(content)
  const store = await openStore()
  expect(await fetched(store, from(server.url))).toEqual(ready)
  expect(clock.now()).toBeGreaterThanOrEqual(limits.fetch.lockStaleMs)
}, 20_000)

test('while it is fetched the state tells how far it is', async () => {
  await using server = await serveContent(content, { pauseAfterBytes: 1_000_000 })
  const store = await openStore()
  const file = from(server.url)
  void store.fetch(file, owner)
  const seen = () => store.stateOf(file)
  for (let state = seen(); state.kind === 'fetching' && state.bytes < 1_000_000; state = seen())
    await new Promise(setImmediate)
  expect(seen()).toMatchObject({ kind: 'fetching', activity: `downloading ${server.url}`, bytesTotal: content.length })
  await store.close()
})
