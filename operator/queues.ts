/**
 * The work queues: deployments to reconcile; and what is published as one list, API keys and routes.
 *
 * Here is where what went wrong is counted and logged, once per reason: a reconcile itself only says so.
 */
import { Failure } from '#contracts/failure.ts'
import type { DeploymentName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { Log } from '#runtime/log.ts'
import type { RouteState } from './core/routeStatus.ts'
import type { OperatorMetrics } from './metrics.ts'
import { createQueue, type Queue, type Requeue } from './queue.ts'
import { reconcile, type World } from './reconcile.ts'

export function createReconcileQueue(
  world: World,
  metrics: OperatorMetrics,
  random: () => number,
  runningMax: number = limits.operator.reconcilesMax,
): Queue<DeploymentName> {
  const said = new Map<DeploymentName, string>()
  return createQueue<DeploymentName>({
    clock: world.clock,
    random,
    runningMax,
    run: async (name) => {
      const requeue = await runReconcile(world, metrics, name)
      logOnce(said, name, requeue, world.log)
      return requeue
    },
  })
}

/** Lists that are brought up to date as a whole. */
export type PublishedList = 'keys' | 'routes'

/** `routes`: read when it is their turn. Making their records parses every calibration: once for many changes, and not while events wait. */
export function createListsQueue(
  world: Pick<World, 'publisher' | 'clock' | 'log'>,
  random: () => number,
  routes: () => readonly RouteState[],
): Queue<PublishedList> {
  const run = (list: PublishedList) => syncList(world, list, routes)
  return createQueue<PublishedList>({ clock: world.clock, random, run })
}

async function runReconcile(world: World, metrics: OperatorMetrics, name: DeploymentName): Promise<Requeue> {
  const startedAt = world.clock.now()
  const requeue = await reconcile(world, name).catch((error: unknown): Requeue => {
    // A bug in one deployment's reconcile must not take the workers of all others down with the operator.
    world.log.error({ deployment: name, error }, 'reconcile failed unexpectedly')
    return { kind: 'back-off', reason: 'bug' }
  })
  metrics.reconciles.inc({ result: requeue.kind })
  metrics.reconcileSeconds.observe({}, (world.clock.now() - startedAt) / 1_000)
  return requeue
}

/** What is not through is looked at again and again; the log says it once per reason. */
function logOnce(said: Map<DeploymentName, string>, name: DeploymentName, requeue: Requeue, log: Log): void {
  if (requeue.kind !== 'back-off' && requeue.kind !== 'stalled') {
    said.delete(name)
    return
  }
  if (said.get(name) === requeue.reason) return
  said.set(name, requeue.reason)
  log.warn({ deployment: name, result: requeue.kind, reason: requeue.reason }, 'reconcile is not through')
}

async function syncList(
  { publisher, log }: Pick<World, 'publisher' | 'log'>,
  list: PublishedList,
  routes: () => readonly RouteState[],
): Promise<Requeue> {
  try {
    if (list === 'routes') publisher.setRoutes(routes().flatMap(({ record }) => record ?? []))
    await (list === 'keys' ? publisher.syncKeys() : publisher.syncRoutes())
    return { kind: 'await-change' }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    log.warn({ list, error }, 'API keys or routes are not published yet')
    return { kind: 'back-off', reason: error.message }
  }
}
