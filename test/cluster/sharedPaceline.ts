/**
 * One release of Paceline for the test files that only use it, in a cluster that all files share; installed by the first that asks.
 * Several files use it at the same time, with pairs of names that no other file uses.
 */
import { afterAll, beforeAll } from 'vitest'
import { parseAllDocuments } from 'yaml'
import * as z from 'zod'
import type { Cluster } from './kit/cluster.ts'
import { once } from './kit/once.ts'
import { describeCluster } from './kit/sharedCluster.ts'
import { install, type Paceline, pacelineIn } from './paceline.ts'

const namespace = 'paceline'

async function sharedPaceline(cluster: Cluster): Promise<Paceline> {
  await once(cluster.folder, 'release', async () => {
    await install(cluster, { namespace, volumes: 8 })
  })
  return pacelineIn(cluster, namespace)
}

/** `describe` on the shared release; every pair that the tests made is deleted after them, and must go. */
export function describePaceline(name: string, tests: (paceline: () => Paceline) => void): void {
  describeCluster(name, (cluster) => {
    let paceline: Paceline | null = null
    const applied = new Set<string>()
    const present = () => {
      if (paceline === null) throw new Error('Paceline is there inside tests and hooks only')
      return paceline
    }
    beforeAll(async () => {
      const shared = await sharedPaceline(cluster())
      const apply = (text: string) => {
        for (const name of namesIn(text)) applied.add(name)
        return shared.apply(text)
      }
      paceline = { ...shared, apply }
    })
    afterAll(async () => {
      if (applied.size > 0) await paceline?.kubectl('delete', ...applied, '--ignore-not-found', '--timeout=90s')
    })
    tests(present)
  })
}

const Named = z.object({ kind: z.string(), metadata: z.object({ name: z.string() }) })

/** As in `ModelDeployment/smol`. */
function namesIn(text: string): string[] {
  return parseAllDocuments(text).map((document) => {
    const { kind, metadata } = Named.parse(document.toJS())
    return `${kind}/${metadata.name}`
  })
}
