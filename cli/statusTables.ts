/** The rows of `paceline status`, from the operator's status. Pure. */
import type { DeploymentReport, OperatorStatus } from '#contracts/operatorStatus.ts'

type Row = readonly string[]

export function deploymentRows(status: OperatorStatus): Row[] {
  return status.deployments.map((deployment) => {
    const ready = deployment.status.conditions.find((condition) => condition.type === 'Ready')
    const rate = deployment.status.measured.tokensPerSecond
    return [
      deployment.simulated ? `${deployment.name} (simulated)` : deployment.name,
      ready?.status ?? 'Unknown',
      ready?.reason ?? '-',
      `${deployment.status.readyReplicas}/${deployment.replicasWanted}`,
      modelState(deployment),
      rate === undefined ? '-' : rate.toFixed(1),
      String(deployment.restarts),
    ]
  })
}

export function routeRows(status: OperatorStatus): Row[] {
  return status.routes.map(({ name, model, strategy, status: { conditions } }) => {
    const ready = conditions.find(({ type }) => type === 'Ready')
    return [
      name,
      model ?? '-',
      strategy ?? '-',
      ready?.status ?? 'Unknown',
      ready?.reason ?? '-',
      ready?.message ?? '-',
    ]
  })
}

export function workerRows(status: OperatorStatus): Row[] {
  return status.deployments.flatMap((deployment) =>
    deployment.workers.map((worker) => [
      worker.worker,
      deployment.name,
      worker.current ? worker.state : `${worker.state} (old revision)`,
      worker.pid === null ? '-' : String(worker.pid),
      worker.engine ?? '-',
      worker.slots === null ? '-' : `${worker.slots.busy}/${worker.slots.total} +${worker.slots.waiting}`,
      worker.speculation ?? '-',
      age(worker.ageMs),
    ]),
  )
}

export function conditionRows(status: OperatorStatus): Row[] {
  return [...status.deployments, ...status.routes].flatMap((resource) =>
    resource.status.conditions.map(({ type, status: state, reason, message }) => [
      resource.name,
      type,
      state,
      reason,
      message,
    ]),
  )
}

export function age(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 120) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`
}

function modelState({ model }: DeploymentReport): string {
  if (model.kind !== 'fetching') return model.kind
  const share =
    model.bytesTotal === null || model.bytesTotal === 0 ? '' : ` ${Math.floor((model.bytes / model.bytesTotal) * 100)}%`
  return `fetching${share}`
}
