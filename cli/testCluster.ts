/**
 * Everything the tests on a real Kubernetes need: the node's packages and eleven programs, found or built, one after the other.
 *
 * Where that cannot be had the reason is one line, and the tests skip themselves with it.
 */
import { Failure } from '#contracts/failure.ts'
import type { Context } from './context.ts'
import { clusterPrograms } from './tools/goPrograms.ts'
import { bringNodePackages } from './tools/nodePackages.ts'
import { findTool } from './tools/tool.ts'

/** Why there can be no cluster here, in one line; null where there can. */
export async function prepareTestCluster(context: Context): Promise<string | null> {
  const why = whyNotHere(process.platform, process.getuid?.()) ?? (await bringNodePackages(context))
  if (why !== null) return why
  const startMs = context.clock.now()
  for (const program of clusterPrograms) {
    try {
      await findTool(program, context)
    } catch (error) {
      if (!(error instanceof Failure) || context.interrupts.first.aborted) throw error
      return error.message.replaceAll(/\n\s*- /g, '; ')
    }
  }
  const seconds = Math.round((context.clock.now() - startMs) / 1_000)
  context.terminal.line(`test cluster: ${clusterPrograms.length} programs ready after ${seconds} s`)
  return null
}

export function whyNotHere(platform: string, uid: number | undefined): string | null {
  if (platform !== 'linux') return `a test cluster needs Linux, this is ${platform}`
  return uid === 0 ? null : 'a test cluster needs root (network namespaces, mounts, control groups)'
}
