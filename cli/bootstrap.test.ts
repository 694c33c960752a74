import { spawn } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

/** A checkout with nothing but the bootstrap, a program that says what it was given, and an `npm` that only counts. */
let root: string

const program = `
if (process.argv[2] === 'wait') { process.on('SIGTERM', () => process.exit(7)); setInterval(() => {}, 1e6); console.log('waiting') }
else { console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 5 }
if (process.argv[2] !== 'wait' && process.connected) process.disconnect()
`
const npm = `#!/bin/sh
echo "$@" >> calls
[ -e fail ] && { echo 'npm error code ENOTFOUND'; echo 'npm error network request failed'; exit 1; }
sleep 0.2
mkdir -p node_modules/node/bin
ln -sf "${process.execPath}" node_modules/node/bin/node
`

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'paceline-bootstrap-'))
  for (const folder of ['cli', 'bin', 'home']) mkdirSync(join(root, folder))
  copyFileSync(join(import.meta.dirname, 'bootstrap.mjs'), join(root, 'cli', 'bootstrap.mjs'))
  writeFileSync(join(root, 'cli', 'main.ts'), program)
  writeFileSync(join(root, 'bin', 'npm'), npm)
  chmodSync(join(root, 'bin', 'npm'), 0o755)
  writeFileSync(join(root, 'package-lock.json'), '{"packages":{"node_modules/a":{"version":"1.0.0"}}}')
})
afterEach(() => rmSync(root, { recursive: true }))

function start(...args: string[]) {
  const env = { PATH: [join(root, 'bin'), '/usr/bin', '/bin'].join(delimiter), HOME: join(root, 'home') }
  const child = spawn(process.execPath, [join(root, 'cli', 'bootstrap.mjs'), ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => {
    said.out += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    said.err += chunk.toString()
  })
  const { promise, resolve } = Promise.withResolvers<number | null>()
  child.once('close', resolve)
  return { child, said, code: promise }
}

const calls = () =>
  existsSync(join(root, 'calls')) ? readFileSync(join(root, 'calls'), 'utf8').trim().split('\n') : []

test('a clean clone is installed once, then the program gets every argument and gives the exit code', async () => {
  const run = start('status', '--json', 'a b')
  expect(await run.code).toBe(5)
  expect(JSON.parse(run.said.out)).toEqual(['status', '--json', 'a b'])
  expect(run.said.err).toMatch(/^installing packages.*\ninstalled packages in \d+ s\n$/)
  expect(calls()).toHaveLength(1)
  const again = start('status')
  expect(await again.code).toBe(5)
  expect(again.said.err).toBe('')
  expect(calls()).toHaveLength(1)
})

test('a changed lock file is installed again', async () => {
  await start().code
  writeFileSync(join(root, 'package-lock.json'), '{"packages":{"node_modules/a":{"version":"2.0.0"}}}')
  await start().code
  expect(calls()).toHaveLength(2)
})

test('packages that were installed by hand from this lock file are left alone', async () => {
  await start().code
  rmSync(join(root, 'node_modules', '.paceline-lock'))
  writeFileSync(join(root, 'node_modules', '.package-lock.json'), '{"packages":{"node_modules/a":{"version":"1.0.0"}}}')
  await start().code
  expect(calls()).toHaveLength(1)
})

test('starts at the same time install once', async () => {
  const runs = [start('1'), start('2'), start('3')]
  expect(await Promise.all(runs.map((run) => run.code))).toEqual([5, 5, 5])
  expect(calls()).toHaveLength(1)
})

test('an installation that fails is one line and exit code 1', async () => {
  writeFileSync(join(root, 'fail'), '')
  const run = start('up')
  expect(await run.code).toBe(1)
  expect(run.said.err.trim().split('\n').at(-1)).toMatch(
    /^paceline: npm ci failed after \d+ s: ENOTFOUND; network request failed$/,
  )
})

test('a signal reaches the program, and its exit code is ours', async () => {
  const run = start('wait')
  await vi.waitUntil(() => run.said.out.includes('waiting'), { timeout: 10_000 })
  run.child.kill('SIGTERM')
  expect(await run.code).toBe(7)
})
