/** The first process of a pod's container, as the host sees it: what a test kills or freezes behind Kubernetes' back. */
import { readFileSync } from 'node:fs'
import { podProcesses } from './kit/controlGroups.ts'
import type { Cluster } from './kit/cluster.ts'

export function killInPod(cluster: Cluster, pod: string, signal: NodeJS.Signals): void {
  process.kill(mainProcess(cluster, pod), signal)
}

/** False between two lives of its container as well. */
export function runsInPod(cluster: Cluster, pod: string): boolean {
  return processOf(cluster, pod) !== undefined
}

export function mainProcess(cluster: Cluster, pod: string): number {
  const found = processOf(cluster, pod)
  if (found === undefined) throw new Error(`no node process of pod ${pod}`)
  return found
}

function processOf(cluster: Cluster, pod: string): number | undefined {
  return podProcesses(cluster.addresses.id).find((pid) => isMain(pid, pod))
}

function isMain(pid: number, pod: string): boolean {
  try {
    const [program = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
    return program.endsWith('node') && environment.includes(`HOSTNAME=${pod}`)
  } catch {
    // Ended in the meantime.
    return false
  }
}
