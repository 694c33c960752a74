/**
 * Takes the operator's finalizer off every pair, for the time after the operator: a pair that its owner deletes later must not wait
 * for a drain that nobody performs. Safe to repeat; nothing else of a pair is touched, so another installation takes it up again.
 */
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { Log } from '#runtime/log.ts'
import { type KubernetesClient, type Page, Refusal } from '../kubernetes/client.ts'
import { drainFinalizer } from '../kubernetes/core/names.ts'
import { type DeploymentObject, nameOf, resources } from '../kubernetes/core/objects.ts'

const { attemptsMax, pageObjectsMax } = limits.cluster

/** How many pairs were let go. Throws `Failure` where one of them could not be. */
export async function letGo(client: KubernetesClient, log: Log): Promise<number> {
  const held = (await everyPair(client)).filter(isHeld)
  for (const pair of held) {
    await release(client, pair)
    log.info({ deployment: nameOf(pair) }, 'the pair no longer waits for an operator when it is deleted')
  }
  return held.length
}

const isHeld = ({ metadata }: DeploymentObject) => metadata?.finalizers?.includes(drainFinalizer) === true

async function everyPair(client: KubernetesClient): Promise<DeploymentObject[]> {
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const pairs = await listed(client).catch(noneWithoutDefinition)
    if (pairs !== null) return pairs
  }
  throw new Failure('cluster-unavailable', 'the list of pairs expired while it was read, again and again; try later')
}

/** The definitions went with the release, and with them every pair. */
function noneWithoutDefinition(error: unknown): [] {
  if (error instanceof Refusal && error.status === 404) return []
  throw error
}

/** Null: the pages no longer belong together. */
async function listed(client: KubernetesClient): Promise<DeploymentObject[] | null> {
  const pairs: DeploymentObject[] = []
  for (let next: { continue?: string } | null = {}; next !== null; ) {
    const page: Page<DeploymentObject> | 'expired' = await client.listPage(resources.deployments, {
      limit: pageObjectsMax,
      ...next,
    })
    if (page === 'expired') return null
    pairs.push(...page.items)
    next = page.continue === null ? null : { continue: page.continue }
  }
  return pairs
}

async function release(client: KubernetesClient, pair: DeploymentObject): Promise<void> {
  let found: DeploymentObject | null = pair
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    if (found === null || !isHeld(found)) return
    const { uid, resourceVersion, finalizers = [] } = found.metadata ?? {}
    const left = finalizers.filter((finalizer) => finalizer !== drainFinalizer)
    const patch = { metadata: { uid, resourceVersion, finalizers: left } }
    const { kind } = await client.merge(resources.deployments, nameOf(found), patch)
    if (kind !== 'conflict') return
    found = await client.get(resources.deployments, nameOf(pair))
  }
  throw new Failure('cluster-unavailable', `${nameOf(pair)} changes too often: is an operator still running?`)
}
