/**
 * Clusters for test files: one that all files of a run share, or one for a file alone.
 *
 *   describeCluster('what is tested', (cluster) => {
 *     test('…', async () => { await cluster().kubectl('get', 'nodes') })
 *   })
 *
 * The first file that uses the shared one pays the ten seconds. Several files use it at the same time: each one works in namespaces
 * of its own, disturbs nothing that others see, and waits for what it needs. Who restarts an API server has a cluster of its own.
 */
import { afterAll, beforeAll, describe, inject } from 'vitest'
import { definitions } from '../definitions.ts'
import { attach, bringUp, type Cluster, type Extent, up, type UpOptions, whyNoCluster } from './cluster.ts'
import { once } from './once.ts'

/** Why there is no cluster for tests here, in one line; null where there is. */
export function whyNoTestCluster(extent: Extent = 'all'): string | null {
  // `npm test` has tried to bring everything and says why it could not.
  return process.env['PACELINE_NO_CLUSTER'] ?? whyNoCluster(extent)
}

async function sharedCluster(): Promise<Cluster> {
  const folder = inject('clusterFolder')
  await once(folder, 'cluster', async () => {
    await bringUp(folder, { extent: 'all', definitions })
  })
  return attach(folder)
}

/** `describe` on the shared cluster; skipped, with the reason in its name, where there is none. */
export function describeCluster(name: string, tests: (cluster: () => Cluster) => void): void {
  describeWhere('all', name, () => {
    let cluster: Cluster | null = null
    beforeAll(async () => {
      cluster = await sharedCluster()
    })
    tests(() => present(cluster))
  })
}

/** `describe` on a cluster that comes up before these tests and goes with them. */
export function describeOwnCluster(name: string, options: UpOptions, tests: (cluster: () => Cluster) => void): void {
  describeWhere(options.extent, name, () => {
    let cluster: Cluster | null = null
    beforeAll(async () => {
      cluster = await up(options)
    })
    afterAll(() => cluster?.down())
    tests(() => present(cluster))
  })
}

function describeWhere(extent: Extent, name: string, tests: () => void): void {
  const why = whyNoTestCluster(extent)
  if (why === null) describe(name, tests)
  else describe.skip(`${name} (skipped: ${why})`, tests)
}

function present(cluster: Cluster | null): Cluster {
  if (cluster === null) throw new Error('the cluster is there inside tests and hooks only')
  return cluster
}
