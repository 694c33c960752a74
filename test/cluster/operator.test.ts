/**
 * The operator alone against a real API server, garbage collector and disruption controller; the node is played
 * (`test/kubernetes/fakeKubelet.ts`). What needs real pods is in the other files of this folder.
 */
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import type { NatsBus } from '#runtime/nats.ts'
import { type FakeKubelet, startFakeKubelet } from '#test/kubernetes/fakeKubelet.ts'
import { projectFolder } from '../bench/harness/machine.ts'
import { type NatsServer, startNatsServer } from '../integration/support/natsServer.ts'
import { type Cluster, up, waitFor, whyNoCluster } from './kit/cluster.ts'
import { type OperatorProcess, startOperatorProcess } from './operatorProcess.ts'

const namespace = 'alone'
const why = process.env['PACELINE_NO_CLUSTER'] ?? whyNoCluster('control-plane')
const Pairs = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), generation: z.number() }),
      status: z
        .object({
          observedGeneration: z.number(),
          readyReplicas: z.number(),
          conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: z.string() })),
        })
        .optional(),
    }),
  ),
})
const Named = z.object({ items: z.array(z.object({ metadata: z.object({ name: z.string() }) })) })

describe.skipIf(why !== null)(`an operator and a real API server${why === null ? '' : ` (skipped: ${why})`}`, () => {
  let cluster: Cluster
  let nats: NatsServer
  let bus: NatsBus
  let kubelet: FakeKubelet
  const operators: OperatorProcess[] = []

  beforeAll(async () => {
    cluster = await up({ extent: 'control-plane' })
    nats = await startNatsServer()
    bus = await nats.connect('worker')
    await cluster.kubectl('apply', '--server-side', '-f', join(projectFolder, 'charts', 'paceline', 'files', 'crds'))
    await cluster.kubectl('wait', '--for=condition=Established', 'crd', '--all')
    await cluster.kubectl('create', 'namespace', namespace)
    await cluster.kubectl('label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted')
    kubelet = await startFakeKubelet(cluster.kubeconfig, namespace, bus)
  })
  afterEach(async () => {
    for (const operator of operators.splice(0)) await operator.end()
  })
  afterAll(async () => {
    kubelet.stop()
    await bus.close()
    await nats.stop()
    await cluster.down()
  })

  const start = async (identity = 'one') => {
    const operator = await startOperatorProcess({
      access: { kubeconfig: cluster.kubeconfig },
      namespace,
      nats,
      identity,
    })
    operators.push(operator)
    return operator
  }
  const apply = (name: string, fields = '') =>
    cluster.apply(
      `apiVersion: paceline.dev/v1alpha1
kind: ModelDeployment
metadata: { name: ${name} }
spec: { engine: { kind: simulated, contextTokensMax: 512, slots: 2 } ${fields} }`,
      '-n',
      namespace,
    )
  const ready = (name: string, replicas: number) =>
    waitFor(
      {
        what: `${name} with ${replicas} workers`,
        waitMsMax: 60_000,
        explain: async () => operators.map(({ words }) => words()).join('\n'),
      },
      async () => {
        const { items } = Pairs.parse(await cluster.get('pairs', '-n', namespace))
        const pair = items.find(({ metadata }) => metadata.name === name)
        const complete = pair?.status?.conditions.some(
          ({ type, reason }) => type === 'Progressing' && reason === 'Complete',
        )
        return (
          complete === true &&
          pair?.status?.observedGeneration === pair?.metadata.generation &&
          pair?.status?.readyReplicas === replicas
        )
      },
    )
  const names = async (kinds: string) =>
    Named.parse(await cluster.get(kinds, '-n', namespace, '-l', 'paceline.dev/deployment')).items.map(
      ({ metadata }) => metadata.name,
    )
  const kinds = 'pods,services,poddisruptionbudgets,configmaps'
  const remove = async (name: string) => {
    await cluster.kubectl('-n', namespace, 'delete', 'pair', name, '--timeout=30s')
    await waitFor({ what: 'nothing left', waitMsMax: 90_000 }, async () => (await names(kinds)).length === 0)
  }

  test('a pair comes, changes its size and its revision, and goes; nothing stays behind', async () => {
    await start()
    await apply('smol', ', replicas: 2')
    await ready('smol', 2)
    const before = await names('pods')
    expect(before).toHaveLength(2)
    await cluster.kubectl('-n', namespace, 'scale', 'pair/smol', '--replicas=1')
    await ready('smol', 1)
    await apply('smol', ', replicas: 1, slo: { ttftMs: 5 }')
    await ready('smol', 1)
    expect(before).not.toContain((await names('pods'))[0])
    const described = await cluster.kubectl('-n', namespace, 'describe', 'pair', 'smol')
    expect(described).toMatch(/WorkerStarted .*smol-/)
    await remove('smol')
  })

  test('a route says that it has no effect yet, and what of it is missing; a younger one does not get its name', async () => {
    await start()
    const route = (name: string) => ({
      apiVersion: 'paceline.dev/v1alpha1',
      kind: 'ModelRoute',
      metadata: { name },
      spec: { name: 'assistant', direct: { deployment: 'smol' } },
    })
    const columns = async (name: string) =>
      (await cluster.kubectl('-n', namespace, 'get', 'mroute', name, '--no-headers', '-o', 'wide')).split(/ {2,}/)
    const shows = (name: string, ...words: string[]) =>
      waitFor({ what: `${name}: ${words.join(' ')}`, waitMsMax: 15_000 }, async () => {
        const found = await columns(name)
        return words.every((word) => found.includes(word))
      })
    await cluster.apply(JSON.stringify(route('first')), '-n', namespace)
    await shows('first', 'assistant', 'False', 'NoEffectYet', 'DeploymentMissing')
    await apply('smol')
    await ready('smol', 1)
    await shows('first', 'AllReady', 'AsExpected')
    // Older by a second at least: that is how exactly the API tells.
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    await cluster.apply(JSON.stringify(route('second')), '-n', namespace)
    await shows('second', 'NameConflict')
    const described = await cluster.kubectl('-n', namespace, 'describe', 'mroute', 'first')
    expect(described).toMatch(/Observed Generation: +1/)
    expect(described).toMatch(/AllReady .*DeploymentsReady is True/)
    await cluster.kubectl('-n', namespace, 'delete', 'mroute', 'first')
    await shows('second', 'AsExpected')
    await cluster.kubectl('-n', namespace, 'delete', 'mroute', 'second')
    await remove('smol')
  })

  test('a restart of etcd and of the API server is survived, and what was asked meanwhile is done', async () => {
    const operator = await start()
    await apply('smol')
    await ready('smol', 1)
    const before = await names('pods')
    await cluster.restart('etcd')
    await cluster.restart('kube-apiserver')
    // Its lease of three seconds may have ended meanwhile; its pod would be started again.
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    if (operator.child.exitCode !== null) await start('one-again')
    await apply('smol', ', replicas: 3')
    await ready('smol', 3)
    expect(await names('pods')).toEqual(expect.arrayContaining(before))
    await remove('smol')
  })

  test('a leader that is frozen is followed by the other; woken, it writes nothing and ends', async () => {
    const first = await start('first')
    await waitFor({ what: 'first to lead', waitMsMax: 15_000 }, () =>
      Promise.resolve(first.words().includes('"leading"')),
    )
    await start('second')
    await apply('smol')
    await ready('smol', 1)
    first.child.kill('SIGSTOP')
    await apply('smol', ', replicas: 2')
    await ready('smol', 2)
    const writes = () =>
      cluster.audit().filter(({ verb, agent }) => verb !== 'get' && agent.startsWith('paceline-operator')).length
    first.child.kill('SIGCONT')
    await waitFor({ what: 'the first to end', waitMsMax: 10_000, explain: async () => first.words() }, () =>
      Promise.resolve(first.child.exitCode === 1),
    )
    expect(first.words()).toContain('the lease is lost')
    expect(await names('pods')).toHaveLength(2)
    expect(writes()).toBeGreaterThan(0)
    await remove('smol')
  })

  test('pairs that just serve cost nothing but the lease', async () => {
    await start()
    await apply('smol')
    await ready('smol', 1)
    await new Promise((resolve) => setTimeout(resolve, 4_000))
    const from = Date.now()
    await new Promise((resolve) => setTimeout(resolve, 12_000))
    const asked = cluster
      .audit()
      .filter(({ agent, receivedAt }) => agent.startsWith('paceline-operator') && receivedAt.getTime() > from)
      .filter(({ resource }) => resource !== 'leases')
    expect(asked.map(({ verb, resource }) => `${verb} ${resource}`)).toEqual([])
    await remove('smol')
  })
})
