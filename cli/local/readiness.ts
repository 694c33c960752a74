/**
 * What the operator's status means for somebody who waits for the first answer. Pure: the waiting is in `waitReady.ts`.
 */
import type { DeploymentReport, OperatorStatus } from '#contracts/operatorStatus.ts'
import { limits } from '#contracts/limits.ts'

export type Readiness =
  /** `activity` is the line of progress. */
  | { kind: 'waiting'; activity: string }
  | { kind: 'ready'; deployments: readonly DeploymentReport[] }
  /** Waiting longer will not help; `reason` says what to change. */
  | { kind: 'hopeless'; reason: string }

export function readiness(status: OperatorStatus): Readiness {
  const wanted = status.deployments.filter(
    (deployment) => !deployment.deleting && (deployment.replicasWanted > 0 || isAsleep(deployment)),
  )
  const problem = status.resources.problems[0]
  if (problem !== undefined) return { kind: 'hopeless', reason: problem }
  for (const deployment of wanted) {
    const reason = hopelessBecause(deployment)
    if (reason !== null) return { kind: 'hopeless', reason }
  }
  if (wanted.length > 0 && wanted.every(isReady)) return { kind: 'ready', deployments: wanted }
  const slowest = wanted.find((deployment) => !isReady(deployment))
  const activity = slowest === undefined ? 'reading resources' : `${slowest.name}: ${activityOf(slowest)}`
  return { kind: 'waiting', activity }
}

/** One short line per deployment that changes only when its stage does. */
export function stagesOf(status: OperatorStatus): ReadonlyMap<string, string> {
  return new Map(status.deployments.map((deployment) => [deployment.name, stageOf(deployment)]))
}

const condition = (deployment: DeploymentReport, type: string) =>
  deployment.status.conditions.find((candidate) => candidate.type === type)

/** Scaled to zero by the load, not stopped by a person: the next request wakes it. */
const isAsleep = (deployment: DeploymentReport) => condition(deployment, 'Stopped')?.reason === 'Asleep'

/** Asleep with its model still under way it would wake for long. */
const isReady = (deployment: DeploymentReport) =>
  condition(deployment, 'Ready')?.status === 'True' &&
  (!isAsleep(deployment) || condition(deployment, 'ModelCacheReady')?.status === 'True')

function hopelessBecause(deployment: DeploymentReport): string | null {
  if (deployment.model.kind === 'failed') return `${deployment.name}: ${deployment.model.message}`
  if (deployment.restarts < limits.operator.crashLoopAfter || isReady(deployment)) return null
  const degraded = condition(deployment, 'Degraded') ?? condition(deployment, 'WorkersReady')
  return `${deployment.name}: its worker ended ${deployment.restarts} times by itself: ${degraded?.message ?? 'see its log'}`
}

function stageOf(deployment: DeploymentReport): string {
  if (deployment.deleting) return 'draining: it is gone from the resources'
  if (deployment.model.kind === 'failed') return `no model: ${deployment.model.message}`
  if (deployment.model.kind === 'fetching') return 'fetching its model'
  if (isAsleep(deployment)) return 'asleep: the next request starts a worker'
  if (deployment.replicasWanted === 0) return 'stopped: 0 replicas wanted'
  if (isReady(deployment)) {
    const simulated = deployment.simulated ? ', simulated' : ''
    return `ready (${deployment.status.readyReplicas} of ${deployment.replicasWanted} workers${simulated})`
  }
  const degraded = condition(deployment, 'Degraded')
  if (degraded?.status === 'True') return `degraded: ${degraded.message}`
  return deployment.workers.length > 0 ? 'worker starting' : 'preparing'
}

function activityOf(deployment: DeploymentReport): string {
  const { model } = deployment
  if (model.kind !== 'fetching') return condition(deployment, 'Ready')?.message ?? stageOf(deployment)
  const mib = (bytes: number) => (bytes / 1024 / 1024).toFixed(1)
  const rate = model.bytesPerSecond > 0 ? ` ${mib(model.bytesPerSecond)} MiB/s` : ''
  if (model.bytesTotal === null || model.bytesTotal === 0) {
    return model.bytes > 0 ? `${model.activity} ${mib(model.bytes)} MiB${rate}` : model.activity
  }
  return `${bar(model.bytes / model.bytesTotal)} ${mib(model.bytes)} of ${mib(model.bytesTotal)} MiB${rate} ${model.activity}`
}

function bar(share: number): string {
  const width = 24
  const filled = Math.round(Math.min(Math.max(share, 0), 1) * width)
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}]`
}
