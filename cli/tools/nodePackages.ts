/**
 * What a Kubernetes node needs from the distribution: found, or installed as packages, which needs root and apt.
 *
 * Installed, not unpacked beside (`debian.ts`): containerd starts runc and the network plugins by itself and expects them in their
 * places.
 */
import { join } from 'node:path'
import type { Context } from '../context.ts'
import { execute, lastLine } from '../execute.ts'
import { isProgram } from './tool.ts'

/** A program, the package that brings it, and folders where it is found although PATH does not name them. */
const wanted: readonly { program: string; package: string; also?: readonly string[] }[] = [
  { program: 'containerd', package: 'containerd' },
  { program: 'runc', package: 'runc' },
  {
    program: 'host-local',
    package: 'containernetworking-plugins',
    also: ['/usr/lib/cni', '/opt/cni/bin', '/usr/libexec/cni'],
  },
  { program: 'nft', package: 'nftables' },
  { program: 'iptables', package: 'iptables' },
  { program: 'conntrack', package: 'conntrack' },
  { program: 'ip', package: 'iproute2' },
  { program: 'sysctl', package: 'procps' },
  { program: 'openssl', package: 'openssl' },
]
const timeoutMs = 300_000

/** Resolves to null once everything is there, else to one line that says what is missing and what was tried. */
export async function bringNodePackages(context: Context): Promise<string | null> {
  const missing = () => wanted.filter((entry) => !isPresent(entry, context))
  const packages = missing().map((entry) => entry.package)
  if (packages.length === 0) return null
  context.terminal.progress(`installing ${packages.join(', ')}`)
  const installed = await install(packages, context)
  const left = missing().map((entry) => entry.package)
  if (left.length === 0) {
    context.terminal.line(`installed for the test cluster: ${packages.join(', ')}`)
    return null
  }
  return `${left.join(', ')} missing; apt-get install: ${installed}`
}

async function install(packages: readonly string[], { config, interrupts }: Context): Promise<string> {
  const environment = { ...config.environment, DEBIAN_FRONTEND: 'noninteractive' }
  const options = { timeoutMs, signal: interrupts.first, environment }
  const args = ['-q', '-y', '--no-install-recommends', 'install', ...packages]
  const first = await execute('apt-get', args, options)
  if (first.code === 0) return 'ended well'
  // Fresh machines have no package lists, old ones have lists of versions that are gone.
  const refreshed = await execute('apt-get', ['-q', 'update'], options)
  if (refreshed.code !== 0) return lastLine(first.output)
  const second = await execute('apt-get', args, options)
  return second.code === 0 ? 'ended well' : lastLine(second.output)
}

function isPresent({ program, also = [] }: (typeof wanted)[number], { config }: Context): boolean {
  return [...config.searchPath, '/usr/sbin', '/sbin', ...also].some((folder) => isProgram(join(folder, program)))
}
