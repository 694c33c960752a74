/**
 * Everything the tests on a real Kubernetes need: the node's packages and ten programs, found or built, one after the other.
 *
 * Where that cannot be had the reason is one line, and the tests skip themselves with it.
 */
import { existsSync, mkdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import type { Context } from './context.ts'
import { execute, lastLine } from './execute.ts'
import { clusterPrograms } from './tools/goPrograms.ts'
import { bringNodePackages } from './tools/nodePackages.ts'
import { findTool, type Tool } from './tools/tool.ts'

/** Why there can be no cluster here, in one line; null where there can. */
export async function prepareTestCluster(context: Context, more: readonly Tool[] = []): Promise<string | null> {
  const why = whyNotHere(process.platform, process.getuid?.()) ?? (await bringNodePackages(context))
  if (why !== null) return why
  // Before the builds, which take minutes.
  const forbidden = (await whyNoBox(context)) ?? whyNoControlGroups()
  if (forbidden !== null) return forbidden
  const startMs = context.clock.now()
  const programs = [...clusterPrograms, ...more]
  for (const program of programs) {
    try {
      await findTool(program, context)
    } catch (error) {
      if (!(error instanceof Failure) || context.interrupts.first.aborted) throw error
      return error.message.replaceAll(/\n\s*- /g, '; ')
    }
  }
  const seconds = Math.round((context.clock.now() - startMs) / 1_000)
  context.terminal.line(`test cluster: ${programs.length} programs ready after ${seconds} s`)
  return null
}

export function whyNotHere(platform: string, uid: number | undefined): string | null {
  if (platform !== 'linux') return `a test cluster needs Linux, this is ${platform}`
  return uid === 0 ? null : 'a test cluster needs root (network namespaces, mounts, control groups)'
}

/** A root without the rights of one (a container, a sandbox) cannot make the namespaces that a cluster lives in. */
export async function whyNoBox({ config, interrupts }: Context): Promise<string | null> {
  const inside = 'ip link add paceline-a type veth peer name paceline-b && mount -t tmpfs paceline /mnt'
  const args = ['--net', '--mount', 'sh', '-c', inside]
  const environment = { ...config.environment }
  const { code, output } = await execute('unshare', args, { environment, timeoutMs: 10_000, signal: interrupts.first })
  return code === 0 ? null : `a test cluster needs network and mount namespaces of its own: ${lastLine(output)}`
}

function whyNoControlGroups(): string | null {
  const top = '/sys/fs/cgroup'
  const folder = join(
    existsSync(join(top, 'cgroup.procs')) ? top : join(top, 'memory'),
    `paceline-probe-${process.pid}`,
  )
  try {
    mkdirSync(folder)
    rmdirSync(folder)
    return null
  } catch (error) {
    return `a test cluster needs control groups: ${String(error)}`
  }
}
