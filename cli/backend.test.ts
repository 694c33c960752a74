import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ensureBackend } from './backend.ts'
import type { Context } from './context.ts'
import { contextIn } from './testing/context.ts'

const host = { platform: 'linux', arch: 'x64' }
let root: string
let context: Context
let said: string[]

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'paceline-backend-'))
  ;({ context, said } = contextIn(root, [join(root, 'bin'), '/usr/bin', '/bin']))
  writeLibrary(join(root, 'node_modules', '@node-llama-cpp', 'linux-x64'), '@node-llama-cpp/linux-x64')
})
afterEach(() => rmSync(root, { recursive: true }))

function writeLibrary(folder: string, name: string): void {
  mkdirSync(join(folder, 'bins', 'any'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version: '1.2.3' }))
  for (const file of ['libllama.so', 'libggml.so', 'libggml-base.so'])
    writeFileSync(join(folder, 'bins', 'any', file), '')
}

/** An npm that does `script` and writes down what it was asked. */
function npmThat(script: string): string {
  const asked = join(root, 'asked')
  mkdirSync(join(root, 'bin'))
  writeFileSync(join(root, 'bin', 'npm'), `#!/bin/sh\necho "$@" > ${asked}\n${script}\n`)
  chmodSync(join(root, 'bin', 'npm'), 0o755)
  return asked
}

const give = () => {
  const made = join(root, 'made')
  writeLibrary(made, '@node-llama-cpp/linux-x64-cuda')
  return `cp -r ${made} ${join(root, 'node_modules', '@node-llama-cpp', 'linux-x64-cuda')}`
}

test('what is missing is installed at the version of the CPU library, and nothing is saved', async () => {
  const asked = npmThat(give())
  await ensureBackend('cuda', context, host)
  expect(said).toEqual(['installed @node-llama-cpp/linux-x64-cuda@1.2.3'])
  rmSync(asked)
  // The second time there is nothing to do.
  await ensureBackend('cuda', context, host)
  expect(existsSync(asked)).toBe(false)
})

test('what npm says is passed on in one line', async () => {
  npmThat('echo noise; echo "npm error 404 Not Found"; exit 1')
  await expect(ensureBackend('cuda', context, host)).rejects.toMatchObject({
    code: 'tool-missing',
    message: '--backend cuda: npm could not install @node-llama-cpp/linux-x64-cuda@1.2.3: npm error 404 Not Found',
  })
})

test('an npm that ends well and leaves nothing is not believed', async () => {
  npmThat('exit 0')
  await expect(ensureBackend('vulkan', context, host)).rejects.toMatchObject({ code: 'tool-missing' })
})

test('a backend that nobody publishes for this machine is said to be none', async () => {
  await expect(ensureBackend('metal', context, host)).rejects.toMatchObject({ code: 'invalid-configuration' })
})
