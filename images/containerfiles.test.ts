import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { operatorNodeFlags } from '#contracts/operatorConfig.ts'
import { routerNodeFlags } from '#contracts/routerConfig.ts'
import { product } from '#test/tidy/tree.ts'

const folder = import.meta.dirname
const read = (name: string) => readFileSync(join(folder, name), 'utf8')
const files = readdirSync(folder).filter((name) => name.endsWith('.Containerfile'))
const mains: Readonly<Record<string, string>> = {
  'operator.Containerfile': 'operator/main.ts',
  'router.Containerfile': 'router/main.ts',
  'worker.Containerfile': 'gpu-worker/main.ts',
}
const flagsOf = (name: string): readonly string[] =>
  name.startsWith('router') ? routerNodeFlags : name.startsWith('operator') ? operatorNodeFlags : []
/** What else pods start from the image. */
const further: Readonly<Record<string, readonly string[]>> = {
  'router.Containerfile': ['router/probe/main.ts'],
  'worker.Containerfile': ['operator/fetch/main.ts'],
}

describe.each(files)('%s', (name) => {
  const text = read(name)
  /** The stage that becomes the image. */
  const last = text.split(/^FROM /m).at(-1) ?? ''

  test('pins nothing by a tag of its own: bases are arguments', () => {
    const from = [...text.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base)
    expect(from.filter((base) => !/^\$\{(BUILD_)?BASE\}$|^build-/.test(base ?? ''))).toEqual([])
  })

  test('runs as nobody, without a shell, from the sources', () => {
    expect(last).toMatch(/^USER 65532:65532$/m)
    expect(last).not.toMatch(/^RUN |^ENTRYPOINT [^[]|^CMD /m)
    const entry = z.array(z.string()).parse(JSON.parse(/^ENTRYPOINT (.*)$/m.exec(last)?.[1] ?? 'null'))
    expect(entry[0]).toBe('node')
    expect(entry.at(-1)).toBe(mains[name])
    expect(entry.slice(1, -1)).toEqual(flagsOf(name))
  })

  test('says what it is and of which commit', () => {
    for (const label of ['title', 'description', 'version', 'revision', 'licenses'])
      expect(last).toContain(`org.opencontainers.image.${label}=`)
    expect(text).toContain('/app/sbom.cdx.json')
  })

  test('holds every file of ours that its programs import', () => {
    const copied = [...last.matchAll(/^COPY ([\w-]+) \.\/\1$/gm)].map((match) => match[1] ?? '')
    const missing = [...reachable(programsOf(name))].filter(
      (path) => path !== 'package.json' && !copied.some((part) => path.startsWith(`${part}/`)),
    )
    expect(missing).toEqual([])
  })
})

describe.each(files)('%s', (name) => {
  const removed = (/npm uninstall --package-lock-only (.*) \\$/m.exec(read(name))?.[1] ?? '').split(' ')
  const programs = programsOf(name)
  const needed = new Set([...reachable(programs)].flatMap(packagesOf))

  test('leaves out no package that its programs import', () => {
    expect(programs.length).toBeGreaterThan(0)
    expect(removed.filter((each) => needed.has(each))).toEqual([])
  })

  test('leaves out what only other parts import', () => {
    const others = files
      .filter((other) => other !== name)
      .flatMap((other) => [...reachable(programsOf(other))].flatMap(packagesOf))
    const idle = new Set(others.filter((each) => !needed.has(each)))
    expect(removed.toSorted()).toEqual([...idle].toSorted())
  })
})

describe('the build context', () => {
  const ignored = readFileSync(join(folder, '..', '.dockerignore'), 'utf8').split('\n')

  test('is closed, but for what the images copy', () => {
    expect(ignored).toContain('*')
    const opened = ignored.filter((line) => line.startsWith('!')).map((line) => line.slice(1))
    const copied = files.flatMap((name) =>
      [...read(name).matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((match) => (match[1] ?? '').split(' ')),
    )
    expect([...new Set(copied)].filter((path) => !opened.includes(path))).toEqual([])
    expect(opened.filter((path) => !copied.includes(path))).toEqual([])
  })

  test('brings no tests', () => {
    expect(ignored).toEqual(expect.arrayContaining(['**/*.test.ts', '**/testing', '**/fixtures']))
  })
})

test('the CUDA engine is of the version of the others', () => {
  const Manifest = z.object({
    dependencies: z.record(z.string(), z.string()),
    optionalDependencies: z.record(z.string(), z.string()).optional(),
  })
  const of = (path: string) => Manifest.parse(JSON.parse(readFileSync(join(folder, path), 'utf8')))
  const version = of('../package.json').optionalDependencies?.['@node-llama-cpp/linux-x64']
  expect(of('cuda/package.json').dependencies).toEqual({ '@node-llama-cpp/linux-x64-cuda': version })
  const lock = z
    .object({
      packages: z.record(z.string(), z.object({ version: z.string().optional(), integrity: z.string().optional() })),
    })
    .parse(JSON.parse(read('cuda/package-lock.json')))
  expect(lock.packages['node_modules/@node-llama-cpp/linux-x64-cuda']).toMatchObject({
    version,
    integrity: expect.stringMatching(/^sha512-/) as unknown,
  })
})

function programsOf(name: string): string[] {
  const wanted = [mains[name] ?? '', ...(further[name] ?? [])]
  return wanted.filter((path) => product.some((file) => file.path === path))
}

/** Packages that a file of ours imports for their values. */
function packagesOf(path: string): string[] {
  const imports = product.find((file) => file.path === path)?.imports ?? []
  return imports
    .filter(({ path: own, specifier, isType }) => own === null && !isType && !specifier.startsWith('node:'))
    .map(({ specifier }) =>
      specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/'),
    )
}

function reachable(from: readonly string[]): Set<string> {
  const seen = new Set<string>()
  const open = [...from]
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (seen.has(path)) continue
    seen.add(path)
    const file = product.find((each) => each.path === path)
    for (const imported of file?.imports ?? [])
      if (imported.path !== null && !imported.isType) open.push(normalize(imported.path))
    // Threads and child processes are opened by URL; the local platform's worker is another image's.
    for (const [, specifier = ''] of (file?.text ?? '').matchAll(/new URL\('(\.\/[^']+\.ts)', import\.meta\.url\)/g))
      open.push(normalize(join(dirname(path), specifier)))
  }
  return seen
}
