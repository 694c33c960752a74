/**
 * Keeps the one cluster that all files of the vitest project "cluster" share: a place for it before the first file, its end after
 * the last one, and its end too when the run is interrupted or killed (the reaper sees to that).
 *
 * Nothing is started here: vitest sets up all projects before it runs any, and a cluster would disturb the tests before. The
 * first file that wants it brings it up (`sharedCluster.ts`).
 */
import type { TestProject } from 'vitest/node'
import { reserve } from './cluster.ts'
import { whyNoTestCluster } from './sharedCluster.ts'

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const why = whyNoTestCluster()
  if (why !== null) {
    console.warn(`tests on a real Kubernetes are skipped: ${why}`)
    return undefined
  }
  const reservation = await reserve()
  project.provide('clusterFolder', reservation.folder)
  return () => reservation.release()
}

declare module 'vitest' {
  interface ProvidedContext {
    clusterFolder: string
  }
}
