import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findPackages, packageName } from './packages.ts'

const linux = { platform: 'linux', arch: 'x64' }
let folder = ''
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'packages-'))))
afterEach(() => rmSync(folder, { recursive: true }))

function install(name: string, options: { named?: string; files?: string[]; metadata?: boolean } = {}): void {
  const bins = join(folder, name, 'bins', 'linux')
  mkdirSync(bins, { recursive: true })
  writeFileSync(join(folder, name, 'package.json'), JSON.stringify({ name: options.named ?? name, version: '3.22.1' }))
  const backend = /linux-x64-(\w+)/.exec(name)?.[1]
  const tag = backend === undefined ? '' : `.${backend}`
  for (const file of options.files ?? [
    'libllama-common.so',
    `libllama${tag}.v0.5.0.so`,
    'libggml-base.so',
    'libggml-cpu-x64.so',
    ...(backend === undefined ? [] : [`libggml-${backend}.so`]),
    `libggml${tag}.v0.5.0.so`,
  ])
    writeFileSync(join(bins, file), '')
  const metadata = { buildOptions: { llamaCpp: { release: 'v0.5.0' } } }
  if (options.metadata !== false) writeFileSync(join(bins, '_nlcBuildMetadata.json'), JSON.stringify(metadata))
}

const backends = (wanted: Parameters<typeof findPackages>[0], host = linux) =>
  findPackages(wanted, host, [folder]).map((found) => found.backend)

test('auto takes the fastest first and keeps the CPU as the last resort', () => {
  install('@node-llama-cpp/linux-x64')
  expect(backends('auto')).toEqual(['cpu'])
  install('@node-llama-cpp/linux-x64-vulkan')
  install('@node-llama-cpp/linux-x64-cuda')
  expect(backends('auto')).toEqual(['cuda', 'vulkan', 'cpu'])
  expect(backends('vulkan')).toEqual(['vulkan'])
})

test('a package says where its libraries lie and which release they are', () => {
  install('@node-llama-cpp/linux-x64')
  const bins = join(folder, '@node-llama-cpp/linux-x64/bins/linux')
  expect(findPackages('cpu', linux, [folder])).toEqual([
    {
      backend: 'cpu',
      name: '@node-llama-cpp/linux-x64',
      version: '3.22.1',
      release: 'v0.5.0',
      folder: bins,
      llama: join(bins, 'libllama.v0.5.0.so'),
      ggml: join(bins, 'libggml.v0.5.0.so'),
      ggmlBase: join(bins, 'libggml-base.so'),
    },
  ])
})

test('libraries of a GPU package carry its name', () => {
  install('@node-llama-cpp/linux-x64-cuda')
  const bins = join(folder, '@node-llama-cpp/linux-x64-cuda/bins/linux')
  expect(findPackages('cuda', linux, [folder])[0]).toMatchObject({
    llama: join(bins, 'libllama.cuda.v0.5.0.so'),
    ggml: join(bins, 'libggml.cuda.v0.5.0.so'),
    ggmlBase: join(bins, 'libggml-base.so'),
  })
})

test('a backend that is asked for and missing is named with the package and version to add', () => {
  install('@node-llama-cpp/linux-x64')
  expect(() => backends('cuda')).toThrow('npm install @node-llama-cpp/linux-x64-cuda@3.22.1')
  expect(() => backends('cuda')).toThrow(expect.objectContaining({ code: 'tool-missing' }))
})

test('a backend that nobody publishes for this host is a wrong setting', () => {
  expect(() => backends('metal')).toThrow('engine.backend: metal does not exist on linux-x64')
  expect(() => backends('auto', { platform: 'aix', arch: 'ppc64' })).toThrow(
    expect.objectContaining({ code: 'invalid-configuration' }),
  )
})

test('another package under the same name is not taken for the libraries', () => {
  install('@node-llama-cpp/linux-x64', { named: 'something-else' })
  expect(() => backends('auto')).toThrow(expect.objectContaining({ code: 'tool-missing' }))
})

test('a package without its libraries counts as missing, one without metadata as of unknown release', () => {
  install('@node-llama-cpp/linux-x64', { files: ['libllama-common.so'] })
  expect(() => backends('cpu')).toThrow('not installed')
  install('@node-llama-cpp/linux-x64-cuda', { metadata: false })
  expect(findPackages('cuda', linux, [folder])[0]?.release).toBe('of unknown release')
})

test('on Apple silicon one package holds CPU and Metal', () => {
  const mac = { platform: 'darwin', arch: 'arm64' }
  expect(packageName('cpu', mac)).toBe(packageName('metal', mac))
  expect(packageName('metal', { platform: 'darwin', arch: 'x64' })).toBeUndefined()
})
