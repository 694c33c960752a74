/**
 * One cluster for all test files of a run.
 *
 *   describeCluster('what is tested', (cluster) => {
 *     test('…', async () => { await cluster().kubectl('get', 'nodes') })
 *   })
 *
 * The first file that uses it pays the ten seconds. Files run one after the other; each one works in namespaces of its own and
 * leaves the cluster as it found it.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, inject } from 'vitest'
import { attach, bringUp, type Cluster, whyNoCluster } from './cluster.ts'

/** Why there is no cluster for tests here, in one line; null where there is. */
export function whyNoSharedCluster(): string | null {
  // `npm test` has tried to bring everything and says why it could not.
  return process.env['PACELINE_NO_CLUSTER'] ?? whyNoCluster('all')
}

export async function sharedCluster(): Promise<Cluster> {
  const folder = inject('clusterFolder')
  const mark = join(folder, 'ready')
  if (existsSync(mark)) return attach(folder)
  if (existsSync(join(folder, 'run'))) throw new Error('the cluster did not come up in an earlier file of this run')
  const cluster = await bringUp(folder, { extent: 'all' })
  writeFileSync(mark, '')
  return cluster
}

/** `describe` on the shared cluster; skipped, with the reason in its name, where there is none. */
export function describeCluster(name: string, tests: (cluster: () => Cluster) => void): void {
  const why = whyNoSharedCluster()
  const runs = why === null ? describe : describe.skip
  runs(why === null ? name : `${name} (skipped: ${why})`, () => {
    let cluster: Cluster | null = null
    beforeAll(async () => {
      cluster = await sharedCluster()
    })
    tests(() => {
      if (cluster === null) throw new Error('the cluster is there inside tests and hooks only')
      return cluster
    })
  })
}
