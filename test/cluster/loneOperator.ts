/**
 * Operators as processes on the host, against a real API server with its controllers; the node is played
 * (`test/kubernetes/fakeKubelet.ts`).
 */
import { afterAll, afterEach, beforeAll } from 'vitest'
import { startFakeKubelet } from '#test/kubernetes/fakeKubelet.ts'
import { startNatsServer } from '../integration/support/natsServer.ts'
import { definitions } from './definitions.ts'
import type { Cluster } from './kit/cluster.ts'
import { describeOwnCluster } from './kit/sharedCluster.ts'
import { type OperatorProcess, startOperatorProcess } from './operatorProcess.ts'

export interface Ground extends AsyncDisposable {
  readonly cluster: Cluster
  readonly namespace: string
  /** Its lease outlives a restart of the API; tests of leadership ask for a short one. */
  start(options?: { identity?: string; leaseMs?: number }): Promise<OperatorProcess>
  /** What the running operators have said, for a wait that runs out. */
  readonly words: () => Promise<string>
  endOperators(): Promise<void>
  close(): Promise<void>
}

/** A namespace, NATS and a played node. The cluster has the definitions. */
export async function prepareGround(cluster: Cluster, namespace: string): Promise<Ground> {
  const { kubeconfig } = cluster
  const operators: OperatorProcess[] = []
  const nats = await startNatsServer()
  const bus = await nats.connect('worker')
  await cluster.kubectl('create', 'namespace', namespace)
  await cluster.kubectl('label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted')
  const kubelet = await startFakeKubelet(kubeconfig, namespace, bus)
  const endOperators = async () => {
    for (const operator of operators.splice(0)) await operator.end()
  }
  const close = async () => {
    await endOperators()
    kubelet.stop()
    await bus.close()
    await nats.stop()
  }
  return {
    cluster,
    namespace,
    async start({ identity = 'one', leaseMs = 15_000 } = {}) {
      const operator = await startOperatorProcess({ access: { kubeconfig }, namespace, nats, identity, leaseMs })
      operators.push(operator)
      return operator
    },
    words: () => Promise.resolve(operators.map(({ words }) => words()).join('\n')),
    endOperators,
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** `describe` on such ground; operators end after each test. */
export function describeLoneOperator(name: string, namespace: string, tests: (ground: () => Ground) => void): void {
  describeOwnCluster(name, { extent: 'control-plane', definitions }, (cluster) => {
    let ground: Ground | null = null
    beforeAll(async () => {
      ground = await prepareGround(cluster(), namespace)
    })
    afterEach(() => ground?.endOperators())
    afterAll(() => ground?.close())
    tests(() => {
      if (ground === null) throw new Error('the ground is there inside tests and hooks only')
      return ground
    })
  })
}
