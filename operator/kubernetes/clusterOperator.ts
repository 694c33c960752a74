/**
 * The operator in a cluster: stands for election, works while it leads, and gives the lease up when it ends.
 *
 * While it waits it watches nothing and writes nothing: what a leader knows is read when it begins, so it can never be older than
 * the writes of the leader before it.
 */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { KubernetesPlatformConfig } from '#contracts/operatorConfig.ts'
import type { OperatorStatus } from '#contracts/operatorStatus.ts'
import { version } from '#runtime/version.ts'
import { createOperatorMetrics, type OperatorMetrics } from '../metrics.ts'
import { type OpenHosting, type Operator, type OperatorPorts, startOperator } from '../operator.ts'
import { alwaysOpen, createClient, type KubernetesClient, type WriteGate } from './client.ts'
import { Election } from './election.ts'
import { ClusterHosting } from './hosting.ts'
import { inClusterAccess } from './inCluster.ts'
import { createRateBound } from './rateBound.ts'
import { type Access, createTransport, type Transport } from './transport.ts'

export interface ClusterEvents {
  /** The lease is lost: this process is of no further use and must end. */
  readonly onLost: () => void
}

/** Resolves at once, leading or not. Rejects with `Failure('invalid-configuration')` where no cluster is named. */
export async function startClusterOperator(
  ports: OperatorPorts,
  cluster: KubernetesPlatformConfig,
  events: ClusterEvents,
): Promise<Operator> {
  const transport = createTransport(await accessTo(ports, cluster), ports.clock)
  return runClusterOperator(ports, cluster, events, transport)
}

/** The named kubeconfig; else the pod's own account; else what `KUBECONFIG` names. */
async function accessTo({ clock, settings }: OperatorPorts, { kubeconfig }: KubernetesPlatformConfig): Promise<Access> {
  const own = kubeconfig === undefined ? inClusterAccess(settings.podEnvironment, clock) : null
  if (own !== null) return own
  // Only where it is needed: see inCluster.ts.
  const { openAccess } = await import('./access.ts')
  return openAccess(kubeconfig, clock)
}

/** `transport` as a parameter: tests put faults and crashes into it. */
export function runClusterOperator(
  ports: OperatorPorts,
  cluster: KubernetesPlatformConfig,
  { onLost }: ClusterEvents,
  transport: Transport,
): Operator {
  const { clock, epochMs, random, log } = ports
  const metrics = createOperatorMetrics()
  const rate = createRateBound(clock, cluster.requests)
  const onRequest = ({ verb, status }: { verb: string; status: number }) =>
    metrics.apiRequests.inc({ verb, status: String(status) })
  const clientWith = (gate: WriteGate): KubernetesClient =>
    createClient({ transport, namespace: cluster.namespace, clock, random, rate, gate, onRequest })
  const identity = cluster.lease.identity ?? `${hostname()}_${randomBytes(4).toString('hex')}`
  const client = clientWith(alwaysOpen)
  const election = new Election({ client, config: cluster.lease, identity, clock, epochMs, random, log })
  const led = lead(ports, cluster, { election, client: clientWith(election), metrics, transport, onLost })
  return operatorOf(ports, cluster, { election, metrics, transport, led })
}

interface Parts {
  readonly election: Election
  readonly metrics: OperatorMetrics
  readonly transport: Transport
}
type Leading = Parts & { readonly client: KubernetesClient; readonly onLost: () => void }
/** `operator` null: not leading (yet). */
interface Led {
  operator: Operator | null
  starting: Promise<void>
}

function lead(ports: OperatorPorts, cluster: KubernetesPlatformConfig, parts: Leading): Led {
  const { election, client, metrics, onLost } = parts
  const onClose = () => election.stop()
  const led: Led = { operator: null, starting: Promise.resolve() }
  const begin = async () => {
    const won = await election.run(onLost)
    metrics.leader.set({}, won ? 1 : 0)
    if (!won) return
    const open: OpenHosting = (more) =>
      Promise.resolve(new ClusterHosting({ cluster, client, ports, onClose, ...more }))
    led.operator = await startOperator(ports, open, metrics)
  }
  led.starting = begin().catch((error: unknown) => {
    ports.log.error({ error }, 'leading could not begin; another life of this process tries again')
    onLost()
  })
  return led
}

function operatorOf(
  ports: OperatorPorts,
  cluster: KubernetesPlatformConfig,
  { election, metrics, transport, led }: Parts & { readonly led: Led },
): Operator {
  const startedAt = ports.clock.now()
  return {
    metrics,
    status: () => led.operator?.status() ?? standby(ports, cluster, election, startedAt),
    updateGauges: () => {
      metrics.leader.set({}, election.state === 'leading' ? 1 : 0)
      led.operator?.updateGauges()
    },
    ready: () => ports.bus.state === 'connected' && (election.state === 'waiting' || led.operator?.ready() === true),
    async stop() {
      if (election.state === 'waiting') await election.stop()
      await led.starting
      if (led.operator === null) await ports.bus.close()
      else await led.operator.stop()
      transport.close()
    },
  }
}

function standby(
  ports: OperatorPorts,
  { namespace }: KubernetesPlatformConfig,
  election: Election,
  startedAt: number,
): OperatorStatus {
  return {
    version,
    pid: ports.pid,
    uptimeMs: ports.clock.now() - startedAt,
    natsConnected: ports.bus.state === 'connected',
    resources: {
      path: `namespace ${namespace} (${election.state}; leader: ${election.holder ?? 'none'})`,
      problems: [],
    },
    deployments: [],
    routes: [],
  }
}
