import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { sources, textOf } from './tree.ts'

const Versions = z.record(z.string(), z.string())
const Manifest = z.object({
  dependencies: Versions,
  devDependencies: Versions,
  optionalDependencies: Versions,
  scripts: Versions,
})
const LockEntry = z.object({ version: z.string().optional(), optionalDependencies: Versions.optional() })
const Lock = z.object({ packages: z.record(z.string(), LockEntry) })

const manifest = Manifest.parse(JSON.parse(textOf('package.json')))
const lock = Lock.parse(JSON.parse(textOf('package-lock.json')))
const all = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies }

/** Used, but not by an import: programs, types, data, what is loaded by its path. */
const usedOtherwise = new Set([
  '@biomejs/biome',
  // The versions of the NATS client's parts have to agree; the Object Store holds calibration artifacts later.
  '@nats-io/nats-core',
  '@nats-io/obj',
  '@types/express',
  '@types/node',
  'node',
  'oxlint',
  'oxlint-tsgolint',
  'typescript',
])

describe('packages', () => {
  test('have exact versions: the same tree for everybody', () => {
    expect(
      Object.entries(all).filter(([, version]) => !/^(npm:[@\w/.-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)),
    ).toEqual([])
  })

  test('are used: each one is code that somebody has to trust', () => {
    const used = new Set(sources.flatMap((file) => file.imports.map(({ specifier }) => packageOf(specifier))))
    const idle = Object.keys(all).filter(
      (name) => !used.has(name) && !usedOtherwise.has(name) && !name.startsWith('@node-llama-cpp/'),
    )
    expect(idle).toEqual([])
  })

  test('are declared: nobody relies on what another package happens to bring', () => {
    const imported = sources.flatMap((file) =>
      file.imports
        .filter(({ path, specifier }) => path === null && !specifier.startsWith('node:'))
        .map(({ specifier }) => ({ file: file.path, name: packageOf(specifier) })),
    )
    // Its own program in its own folder, which `bench` installs when asked.
    const apart = new Set(['node-llama-cpp'])
    expect(imported.filter(({ name }) => !(name in all) && !apart.has(name))).toEqual([])
  })

  test('of production are not development packages', () => {
    const shipped = sources.filter((file) => !file.isTest && !/^(cli|charts|images)\//.test(file.path))
    const names = shipped.flatMap((file) =>
      file.imports.filter(({ isType }) => !isType).map(({ specifier }) => packageOf(specifier)),
    )
    expect([...new Set(names)].filter((name) => name in manifest.devDependencies)).toEqual([])
  })

  test('are in the lock file for every platform, or npm ci refuses a clean clone', () => {
    const missing = Object.values(lock.packages).flatMap((entry) =>
      Object.keys(entry.optionalDependencies ?? {}).filter((name) => !(`node_modules/${name}` in lock.packages)),
    )
    expect(missing).toEqual([])
  })
})

function packageOf(specifier: string): string {
  const [first = '', second = ''] = specifier.split('/')
  return first.startsWith('@') ? `${first}/${second}` : first
}
