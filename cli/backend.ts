/**
 * `npm start -- --backend cuda`: brings the engine library that is not part of every install, at the version of the installed one.
 *
 * Only installs. Which library a worker loads, `engine.backend` says; `auto` takes the fastest that is installed and works.
 */
import { join } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import { type Backend, findPackages, type Host, packageName } from '../gpu-worker/llama/packages.ts'
import type { Context } from './context.ts'
import { execute, lastLine } from './execute.ts'

export const backends: readonly Backend[] = ['cpu', 'cuda', 'vulkan', 'metal']

/** Hundreds of megabytes on a slow line. */
const installMsMax = 30 * 60_000

/** Throws `Failure('tool-missing')` where it cannot be had, `invalid-configuration` where nobody publishes it for this machine. */
export async function ensureBackend(backend: Backend, context: Context, host: Host = process): Promise<void> {
  const { root } = context.config
  const searched = [join(root, 'node_modules')]
  if (isInstalled(backend, host, searched)) return
  const wanted = `${nameOf(backend, host)}@${versionOf(host, searched)}`
  context.terminal.progress(`installing ${wanted} (hundreds of megabytes, once)`)
  // Not saved: a checkout stays as it was, and who does not ask for it does not fetch it.
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error', wanted]
  const { searchPath, environment } = context.config
  const { code, output } = await execute('npm', args, {
    cwd: root,
    environment: { ...environment, PATH: searchPath.join(':') },
    timeoutMs: installMsMax,
    signal: context.interrupts.first,
  })
  context.interrupts.first.throwIfAborted()
  if (code !== 0)
    throw new Failure('tool-missing', `--backend ${backend}: npm could not install ${wanted}: ${lastLine(output)}`)
  if (!isInstalled(backend, host, searched))
    throw new Failure('tool-missing', `--backend ${backend}: npm installed ${wanted}, but no library for it lies there`)
  context.terminal.line(`installed ${wanted}`)
}

function isInstalled(backend: Backend, host: Host, searched: readonly string[]): boolean {
  try {
    return findPackages(backend, host, searched).length > 0
  } catch (error) {
    if (error instanceof Failure && error.code === 'tool-missing') return false
    throw error
  }
}

function nameOf(backend: Backend, host: Host): string {
  const name = packageName(backend, host)
  if (name !== undefined) return name
  throw new Failure('invalid-configuration', `--backend ${backend} does not exist on ${host.platform}-${host.arch}`)
}

/** Backends share one struct layout, which is pinned per version. */
function versionOf(host: Host, searched: readonly string[]): string {
  const [cpu] = findPackages('cpu', host, searched)
  if (cpu === undefined) throw new Failure('tool-missing', 'the CPU library is not installed; run npm ci')
  return cpu.version
}
