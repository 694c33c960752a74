/**
 * Where the programs of a cluster are on this machine: ours in the cache or on PATH (`npm test` builds them), the node's from
 * Debian packages.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readCliConfig } from '../../../cli/config.ts'
import { whyNotHere } from '../../../cli/testCluster.ts'
import { clusterPrograms, kwok } from '../../../cli/tools/goPrograms.ts'
import { isProgram, type Tool } from '../../../cli/tools/tool.ts'

/** How much of a cluster is wanted: an API alone, with its controllers, or with a node that runs pods. */
export type Extent = 'api' | 'control-plane' | 'all'

const neededFor: Readonly<Record<Extent, readonly string[]>> = {
  api: ['etcd', 'kube-apiserver', 'kubectl'],
  'control-plane': ['etcd', 'kube-apiserver', 'kubectl', 'kube-controller-manager', 'kube-scheduler'],
  all: clusterPrograms.map(({ name }) => name),
}

/** Path of a program that `cli/tools/goPrograms.ts` knows; the pinned one first, PATH may hold any version. */
export function programPath(name: string): string {
  const path = findProgram(name)
  if (path === null)
    throw new Error(`no ${name} in the cache or on PATH (npm run test:cluster builds it, kwok npm run bench:cluster)`)
  return path
}

export function findProgram(name: string): string | null {
  const { cacheDir, searchPath } = readCliConfig(process.env, process.platform)
  const tool: Tool | undefined = [...clusterPrograms, kwok].find((program) => program.name === name)
  const cached = tool === undefined ? [] : [join(cacheDir, 'tools', tool.folder, tool.name)]
  return (
    [...cached, ...[...searchPath, '/usr/sbin', '/sbin'].map((folder) => join(folder, name))].find(isProgram) ?? null
  )
}

/** The folder with the network plugins of the distribution. */
export function networkPlugins(): string | null {
  return (
    ['/usr/lib/cni', '/opt/cni/bin', '/usr/libexec/cni'].find((path) => existsSync(join(path, 'host-local'))) ?? null
  )
}

/** Why no cluster can be started here, in one line; null where it can. */
export function whyNoCluster(extent: Extent): string | null {
  const never = whyNotHere(process.platform, process.getuid?.())
  if (never !== null) return never
  const ofNode = extent === 'all' ? ['containerd', 'runc', 'nft', 'iptables'] : []
  const wanted = [...neededFor[extent], 'ip', 'nsenter', 'unshare', 'openssl', ...ofNode]
  const missing = wanted.filter((name) => findProgram(name) === null)
  if (extent === 'all' && networkPlugins() === null) missing.push('containernetworking-plugins')
  return missing.length === 0
    ? null
    : `a cluster needs ${missing.join(', ')}: run npm run test:cluster, which brings them`
}
