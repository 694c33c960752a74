/** The fetch as a process of its own, without NATS: what it leaves, and how it ends. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { fetchOrderVariable } from '#contracts/fetch.ts'
import { serveContent } from '../models/testServer.ts'

const program = fileURLToPath(new URL('main.ts', import.meta.url))
const content = randomBytes(200_000)
const sha256 = createHash('sha256').update(content).digest('hex')

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'paceline-fetch-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function run(order: unknown): Promise<{ code: unknown; lastLine: string }> {
  const child = spawn(process.execPath, [program], {
    env: { PATH: process.env['PATH'], [fetchOrderVariable]: JSON.stringify(order) },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let words = ''
  child.stderr.on('data', (chunk: Buffer) => (words += chunk.toString()))
  const [code] = (await once(child, 'close')) as unknown[]
  return { code, lastLine: words.trim().split('\n').at(-1) ?? '' }
}
const orderOf = (source: string, digest = sha256) => ({
  file: { source, mirrors: [], sha256: digest },
  cacheDir: folder,
  nats: { url: 'nats://127.0.0.1:1', user: 'worker' },
})

test('the file lies where a worker looks for it, and a second run finds it there', async () => {
  await using server = await serveContent(content)
  expect(await run(orderOf(server.url))).toMatchObject({ code: 0 })
  expect(await readFile(join(folder, 'models', 'sha256', `${sha256}.gguf`))).toEqual(content)
  expect(await run(orderOf(server.url))).toMatchObject({ code: 0 })
  expect(server.ranges).toHaveLength(1)
})

test('what could work later ends with 1, what cannot with 2, and the last line says why', async () => {
  await using server = await serveContent(content, { status: 404 })
  const later = await run(orderOf(server.url))
  expect(later.code).toBe(1)
  expect(later.lastLine).toMatch(/no source gave the model.*404/)
  const never = await run({ file: 7 })
  expect(never.code).toBe(2)
  expect(never.lastLine).toContain(fetchOrderVariable)
})
