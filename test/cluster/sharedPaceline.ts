/**
 * One release of Paceline for the test files that only use it, in a cluster that all files share; installed by the first that asks.
 * Its lease is short, so that a test of who leads need not wait. Files work with pairs of their own names and delete them.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import type { Cluster } from './kit/cluster.ts'
import { describeCluster } from './kit/sharedCluster.ts'
import { install, type Paceline, pacelineIn } from './paceline.ts'

const namespace = 'paceline'
export const leaseMs = 3_000

const values = {
  operator: { lease: { durationMs: leaseMs, renewMs: 800, retryMs: 400, marginMs: 300 } },
}

async function sharedPaceline(cluster: Cluster): Promise<Paceline> {
  const mark = join(cluster.folder, 'paceline-installed')
  if (existsSync(mark)) return pacelineIn(cluster, namespace)
  const paceline = await install(cluster, { namespace, values, volumes: 8 })
  writeFileSync(mark, '')
  return paceline
}

/** `describe` on the shared release; every pair that the tests made is deleted after them, and must go. */
export function describePaceline(name: string, tests: (paceline: () => Paceline) => void): void {
  describeCluster(name, (cluster) => {
    let paceline: Paceline | null = null
    const present = () => {
      if (paceline === null) throw new Error('Paceline is there inside tests and hooks only')
      return paceline
    }
    beforeAll(async () => {
      paceline = await sharedPaceline(cluster())
    })
    afterAll(async () => {
      await paceline?.kubectl('delete', 'pairs,modelroutes', '--all', '--timeout=90s')
    })
    tests(present)
  })
}
