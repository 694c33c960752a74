import { rmSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { RiskExample } from '#contracts/riskExample.ts'
import { riskSignals } from '#contracts/riskCalibration.ts'
import { silentLog } from '#runtime/log.ts'
import { type Kept, type TrafficBounds, TrafficLog } from './trafficLog.ts'

const hourMs = 3_600_000
let folder = ''
let counted: string[] = []
/** Files get their times from the system, so the time that passes is put on top of it. */
let passedMs = 0

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'paceline-traffic-'))
  counted = []
  passedMs = 0
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const open = (bounds: Partial<TrafficBounds> = {}) =>
  new TrafficLog({
    folder,
    epochMs: () => Date.now() + passedMs,
    log: silentLog,
    count: (route: string, kept: Kept) => counted.push(`${route} ${kept}`),
    bounds,
  })

const example = (request: string, changes: Partial<RiskExample> = {}): RiskExample => ({
  kind: 'RiskExample',
  version: 1,
  route: 'assistant',
  request,
  labels: ['right', 'wrong'],
  ownLabel: 0,
  votes: { rule: 1 },
  signals: Object.fromEntries(riskSignals.map((name) => [name, null])) as RiskExample['signals'],
  embedding: null,
  risk: null,
  cause: 'sure',
  ...changes,
})
async function requestsIn(name: string): Promise<string[]> {
  const text = await readFile(join(folder, name), 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => RiskExample.parse(JSON.parse(line)).request)
}

test('keeps a line for each example, in order, in a file of its route that only its owner can read', async () => {
  const log = open()
  for (const request of ['a', 'b', 'c']) log.keep(example(request))
  log.keep(example('d', { route: 'other' }))
  await log.flush()
  expect(await requestsIn('assistant.jsonl')).toEqual(['a', 'b', 'c'])
  expect(await requestsIn('other.jsonl')).toEqual(['d'])
  expect((await stat(join(folder, 'assistant.jsonl'))).mode & 0o777).toBe(0o600)
  expect(counted).toEqual(['assistant kept', 'assistant kept', 'assistant kept', 'other kept'])
})

test('an example that is too long loses its texts', async () => {
  const log = open()
  log.keep(example('long', { question: 'x'.repeat(limits.traffic.exampleBytesMax), answer: 'y' }))
  await log.flush()
  const [line] = (await readFile(join(folder, 'assistant.jsonl'), 'utf8')).split('\n')
  expect(JSON.parse(line ?? '')).not.toHaveProperty('question')
  expect(counted).toEqual(['assistant without-texts'])
})

test('never holds more of a route than its bytes: the older half goes', async () => {
  const bytesMax = 4_000
  const log = open({ bytesMax })
  for (let i = 0; i < 100; i += 1) {
    log.keep(example(`r${i}`))
    await log.flush()
  }
  const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size))
  expect(sizes.length).toBe(2)
  expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(bytesMax)
  expect((await requestsIn('assistant.jsonl')).at(-1)).toBe('r99')
})

test('nothing is older than the age: a file is put aside at half of it, and goes at the end of it', async () => {
  const log = open({ ageMsMax: hourMs })
  log.keep(example('old'))
  await log.flush()
  passedMs = 0.6 * hourMs
  log.keep(example('new'))
  await log.flush()
  expect(await requestsIn('assistant.1.jsonl')).toEqual(['old'])
  expect(await requestsIn('assistant.jsonl')).toEqual(['new'])
  passedMs = 1.1 * hourMs
  await log.sweep()
  // Both files are as old as this test, by the system's clock; what counts is the time since their first line.
  expect(await readdir(folder)).not.toContain('assistant.1.jsonl')
})

test('all routes together keep to a total: who was quiet the longest goes first', async () => {
  const log = open({ allBytesMax: 1_000 })
  for (const route of ['a', 'b', 'c', 'd', 'e']) {
    log.keep(example('r', { route }))
    await log.flush()
    const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size))
    expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(1_000)
  }
  const left = await readdir(folder)
  expect(left).toContain('e.jsonl')
  expect(left).not.toContain('a.jsonl')
})

test('what the disk cannot take in time is dropped and counted, and a folder that cannot be made stops nobody', async () => {
  const log = open()
  for (let i = 0; i < limits.traffic.waitingMax + 10; i += 1) log.keep(example(`r${i}`))
  await log.flush()
  expect(counted.filter((each) => each.endsWith('dropped')).length).toBeGreaterThan(0)
  const broken = new TrafficLog({
    folder: join(folder, 'assistant.jsonl', 'no-folder'),
    epochMs: () => 0,
    log: silentLog,
    count: () => undefined,
  })
  broken.keep(example('lost'))
  await broken.flush()
})

test('a line that comes while the last write ends is written', async () => {
  for (let turns = 0; turns < 8; turns += 1) {
    const blocked = join(folder, `blocked-${turns}`)
    await writeFile(blocked, '')
    const came = Promise.withResolvers<void>()
    const keepLater = async () => {
      for (let i = 0; i < turns; i += 1) await Promise.resolve()
      log.keep(example('second'))
      came.resolve()
    }
    // The first write fails, and where that is told the writer is about to end.
    const warn = () => {
      rmSync(blocked)
      void keepLater()
    }
    const log = new TrafficLog({
      folder: join(blocked, 'inside'),
      epochMs: () => Date.now(),
      log: { ...silentLog, warn },
      count: () => undefined,
    })
    log.keep(example('first'))
    await came.promise
    await log.flush()
    expect(await requestsIn(`blocked-${turns}/inside/assistant.jsonl`)).toEqual(['second'])
  }
})
