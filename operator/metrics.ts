/**
 * The operator's metrics that show a state rather than count events: read from the world whenever somebody asks for the page.
 */
import { operatorMetrics } from '#contracts/metrics.ts'
import { createMetrics, type Metrics } from '#runtime/metrics.ts'
import { judge } from './core/workers.ts'
import { observe, type World } from './reconcile.ts'

export type OperatorMetrics = Metrics<typeof operatorMetrics>

export const createOperatorMetrics = (): OperatorMetrics => createMetrics(operatorMetrics)

const workerStates = ['starting', 'ready', 'unresponsive', 'draining'] as const
const deploymentStates = ['ready', 'progressing', 'degraded', 'stopped', 'not-ready'] as const
type DeploymentState = (typeof deploymentStates)[number]

export class Gauges {
  readonly #metrics: OperatorMetrics
  readonly #shown = new Set<string>()

  constructor(metrics: OperatorMetrics) {
    this.#metrics = metrics
  }

  update(world: World, queueDepth: number): void {
    this.#metrics.workqueueDepth.set({}, queueDepth)
    const names = world.platform.names()
    const states = names.map((name) => this.#updateDeployment(world, name))
    for (const state of deploymentStates)
      this.#metrics.deployments.set({ state }, states.filter((is) => is === state).length)
    const there = new Set<string>(names)
    for (const deployment of [...this.#shown].filter((name) => !there.has(name))) {
      for (const state of workerStates) this.#metrics.replicas.remove({ deployment, state })
      this.#metrics.replicasWanted.remove({ deployment })
      this.#shown.delete(deployment)
    }
  }

  #updateDeployment(world: World, name: Parameters<typeof observe>[1]): DeploymentState {
    const observed = observe(world, name)
    const workers = judge(observed, world.clock.now())
    this.#shown.add(name)
    this.#metrics.replicasWanted.set({ deployment: name }, observed.replicas)
    // There from the start, so that the first one shows as an increase.
    this.#metrics.rollbacks.inc({ deployment: name }, 0)
    for (const state of workerStates)
      this.#metrics.replicas.set({ deployment: name, state }, workers.filter((worker) => worker.state === state).length)
    const is = (type: string) =>
      observed.status?.conditions.some((condition) => condition.type === type && condition.status === 'True') ?? false
    if (is('Stopped')) return 'stopped'
    if (is('Degraded')) return 'degraded'
    if (is('Progressing')) return 'progressing'
    return is('Ready') ? 'ready' : 'not-ready'
  }
}
