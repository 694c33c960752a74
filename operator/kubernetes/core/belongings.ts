/** What stands beside a pair's workers: its metrics Service, its disruption budget, its revision history. Pure. */
import type { WorkerPodConfig } from '#contracts/operatorConfig.ts'
import { type ModelDeploymentSpec, type ModelDeploymentStatus, scaleOf } from '#contracts/resources/modelDeployment.ts'
import { replicasWanted } from '../../core/observed.ts'
import type { RevisionHistory } from '../../core/revision.ts'
import { parseHistory } from '../../core/revision.ts'
import type { ConfigMap, DisruptionBudget, Service } from './objects.ts'
import { historyName, labels, type OwnerReference, ownLabels } from './names.ts'

export interface Owned {
  readonly deployment: string
  readonly owner: OwnerReference
}

/** Headless: scrapers want each worker, and requests come over NATS. */
export function workersService({ deployment, owner }: Owned, config: WorkerPodConfig): Service {
  return {
    metadata: { name: serviceName(deployment), labels: ownLabels('worker', deployment), ownerReferences: [owner] },
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: { [labels.name]: 'paceline-worker', [labels.deployment]: deployment },
      ports: [{ name: 'http', port: config.httpPort, targetPort: 'http', protocol: 'TCP' }],
    },
  }
}

export const serviceName = (deployment: string): string => `${deployment.slice(0, 55).replace(/-+$/, '')}-workers`

/**
 * One worker at a time may be evicted, the only one too: else the drain of a node would wait for ever, and the operator starts its
 * successor as soon as it begins to drain. Said as a number that must stay: for `maxUnavailable` the controller asks the pair's
 * `/scale`, which has no answer where the pair names no `replicas`, and then it forbids every eviction.
 */
export function disruptionBudget({ deployment, owner }: Owned, replicas: number): DisruptionBudget {
  return {
    metadata: { name: serviceName(deployment), labels: ownLabels('worker', deployment), ownerReferences: [owner] },
    spec: {
      minAvailable: Math.max(0, replicas - 1),
      selector: { matchLabels: { [labels.name]: 'paceline-worker', [labels.deployment]: deployment } },
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  }
}

/** Workers wanted now. What the autoscaler decided stands in the status; a number in the spec is taken at once. */
export function replicasOf(spec: ModelDeploymentSpec | null, status: ModelDeploymentStatus | null): number {
  const decided = status?.desiredReplicas
  if (spec === null) return decided ?? 1
  return scaleOf(spec).kind === 'fixed' ? replicasWanted(spec) : (decided ?? replicasWanted(spec))
}

export function historyMap({ deployment, owner }: Owned, history: RevisionHistory): ConfigMap {
  return {
    metadata: {
      name: historyName(deployment),
      labels: { ...ownLabels('history', deployment), [labels.kind]: 'history' },
      ownerReferences: [owner],
    },
    data: { history: JSON.stringify(history) },
  }
}

export function historyOf(map: ConfigMap | undefined): RevisionHistory {
  const text = map?.data?.['history']
  if (text === undefined) return []
  try {
    return parseHistory(JSON.parse(text))
  } catch {
    // Damaged by hand: as if there had been none.
    return []
  }
}
