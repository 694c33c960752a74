/**
 * Where the prebuilt llama.cpp libraries lie: the installed `@node-llama-cpp/<platform>[-backend]` packages. Reads folders, loads nothing.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Failure } from '#contracts/failure.ts'

export type Backend = 'cpu' | 'cuda' | 'vulkan' | 'metal'

export interface LibraryPackage {
  readonly backend: Backend
  readonly name: string
  readonly version: string
  /** As llama.cpp calls its release, from the package's build metadata. */
  readonly release: string
  readonly folder: string
  readonly llama: string
  readonly ggml: string
  readonly ggmlBase: string
}

export interface Host {
  readonly platform: string
  readonly arch: string
}

const scope = '@node-llama-cpp'
/** Fastest first: the order in which `auto` tries. */
const bySpeed: readonly Backend[] = ['metal', 'cuda', 'vulkan', 'cpu']

/** The package that would give `backend` on this host; undefined where nobody publishes one. */
export function packageName(backend: Backend, host: Host): string | undefined {
  const systems: Readonly<Record<string, string>> = { linux: 'linux', darwin: 'mac' }
  const system = systems[host.platform]
  if (system === undefined || (host.arch !== 'x64' && host.arch !== 'arm64')) return undefined
  const base = `${scope}/${system}-${host.arch}`
  const isAppleSilicon = system === 'mac' && host.arch === 'arm64'
  switch (backend) {
    case 'cpu':
      // On Apple silicon one package holds both.
      return isAppleSilicon ? `${base}-metal` : base
    case 'metal':
      return isAppleSilicon ? `${base}-metal` : undefined
    case 'cuda':
      return system === 'linux' ? `${base}-cuda` : undefined
    case 'vulkan':
      return system === 'linux' && host.arch === 'x64' ? `${base}-vulkan` : undefined
    default:
      return backend satisfies never
  }
}

/** What is installed for the wanted backend, fastest first; never empty. */
export function findPackages(
  wanted: 'auto' | Backend,
  host: Host,
  searched: readonly string[] = installedFolders(),
): LibraryPackage[] {
  const backends = wanted === 'auto' ? bySpeed : [wanted]
  const found = backends.flatMap((backend) => {
    const name = packageName(backend, host)
    const installed = name === undefined ? undefined : readPackage(name, backend, searched)
    return installed === undefined ? [] : [installed]
  })
  if (found.length === 0) throw missing(wanted, host, searched)
  return found
}

function missing(wanted: 'auto' | Backend, host: Host, searched: readonly string[]): Failure {
  const name = packageName(wanted === 'auto' ? 'cpu' : wanted, host)
  if (name === undefined)
    return new Failure(
      'invalid-configuration',
      `engine.backend: ${wanted} does not exist on ${host.platform}-${host.arch}`,
    )
  return new Failure(
    'tool-missing',
    `engine.backend: ${wanted} needs the npm package ${name}, which is not installed: ` +
      `run npm install ${name}@${versionOfCpuPackage(host, searched) ?? 'latest'}, or set engine.backend: auto`,
  )
}

/** Other backends must be of the same version: they share one struct layout. */
function versionOfCpuPackage(host: Host, searched: readonly string[]): string | undefined {
  const name = packageName('cpu', host)
  return name === undefined ? undefined : readPackage(name, 'cpu', searched)?.version
}

function readPackage(name: string, backend: Backend, searched: readonly string[]): LibraryPackage | undefined {
  const root = searched.map((folder) => join(folder, name)).find((folder) => existsSync(join(folder, 'package.json')))
  if (root === undefined) return undefined
  const manifest = readJson(join(root, 'package.json'))
  // An alias can put something else under this name.
  if (manifest['name'] !== name) return undefined
  const bins = join(root, 'bins')
  if (!existsSync(bins)) return undefined
  for (const entry of readdirSync(bins)) {
    const folder = join(bins, entry)
    const files = readdirSync(folder)
    const llama = files.find((file) => isLibrary(file, 'llama'))
    const ggml = files.find((file) => isLibrary(file, 'ggml'))
    const ggmlBase = files.find((file) => isLibrary(file, 'ggml-base'))
    if (llama === undefined || ggml === undefined || ggmlBase === undefined) continue
    return {
      backend,
      name,
      version: String(manifest['version']),
      release: releaseOf(folder),
      folder,
      llama: join(folder, llama),
      ggml: join(folder, ggml),
      ggmlBase: join(folder, ggmlBase),
    }
  }
  return undefined
}

/** `libllama.so`, `libllama.v0.5.0.so`, and of another backend `libllama.cuda.v0.5.0.so`. */
function isLibrary(file: string, name: string): boolean {
  const [head, ...rest] = file.split('.')
  const end = rest.at(-1)
  return head === `lib${name}` && (end === 'so' || end === 'dylib')
}

/** Every `node_modules` that Node would look in from here. */
function installedFolders(): string[] {
  return createRequire(import.meta.url).resolve.paths(scope) ?? []
}

function releaseOf(folder: string): string {
  const path = join(folder, '_nlcBuildMetadata.json')
  if (!existsSync(path)) return 'of unknown release'
  const options = readJson(path)['buildOptions']
  const llamaCpp = isRecord(options) ? options['llamaCpp'] : undefined
  return isRecord(llamaCpp) ? String(llamaCpp['release']) : 'of unknown release'
}

function readJson(path: string): Record<string, unknown> {
  const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
  return isRecord(value) ? value : {}
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
