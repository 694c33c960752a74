/**
 * 2,000 generated changes under the eyes of an operator: what the API server takes, it comes to terms with and says so in a
 * condition; it never ends, and once each pair is put right again, each one serves.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { openAccess } from '../../operator/kubernetes/access.ts'
import { createTransport, type Transport } from '../../operator/kubernetes/transport.ts'
import { systemClock } from '#runtime/clock.ts'
import type { NatsBus } from '#runtime/nats.ts'
import { type FakeKubelet, startFakeKubelet } from '#test/kubernetes/fakeKubelet.ts'
import { anySpec } from '../resources/arbitraryResource.ts'
import { projectFolder } from '../bench/harness/machine.ts'
import { type NatsServer, startNatsServer } from '../integration/support/natsServer.ts'
import { flipFlop, seed, tell } from './flipFlop.ts'
import { type Cluster, up, waitFor, whyNoCluster } from './kit/cluster.ts'
import { type OperatorProcess, startOperatorProcess } from './operatorProcess.ts'

const namespace = 'generated'
const namesCount = 40
const specsPerName = 50
const why = process.env['PACELINE_NO_CLUSTER'] ?? whyNoCluster('control-plane')

const Pairs = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), generation: z.number() }),
      status: z
        .object({
          readyReplicas: z.number(),
          conditions: z.array(z.object({ type: z.string(), status: z.string(), observedGeneration: z.number() })),
        })
        .optional(),
    }),
  ),
})

/** A machine of two cores plays the node: few workers, whatever the spec asks for. */
const few = anySpec.map((spec) => {
  const fields = z.record(z.string(), z.unknown()).safeParse(spec).data
  const scaling = z.record(z.string(), z.unknown()).safeParse(fields?.['scaling']).data
  if (fields === undefined) return spec
  const small = (value: unknown) => (Number.isInteger(value) && Number(value) > 2 ? 2 : value)
  return {
    ...fields,
    ...('replicas' in fields ? { replicas: small(fields['replicas']) } : {}),
    ...(scaling === undefined
      ? {}
      : {
          scaling: Object.fromEntries(
            Object.entries(scaling).map(([name, value]) => [name, /^m..Replicas$/.test(name) ? small(value) : value]),
          ),
        }),
  }
})

/** A few at a time: the API server, etcd and the operator share two cores with whoever writes. */
async function inLanes<T>(names: readonly string[], work: (name: string, index: number) => Promise<T>): Promise<T[]> {
  const left = names.map((name, index) => ({ name, index }))
  const done: T[] = []
  const lane = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) done.push(await work(next.name, next.index))
  }
  await Promise.all(Array.from({ length: 6 }, lane))
  return done
}

describe.skipIf(why !== null)(`generated changes${why === null ? '' : ` (skipped: ${why})`}`, () => {
  let cluster: Cluster
  let nats: NatsServer
  let bus: NatsBus
  let kubelet: FakeKubelet
  let operator: OperatorProcess
  let api: Transport

  beforeAll(async () => {
    cluster = await up({ extent: 'control-plane' })
    nats = await startNatsServer()
    bus = await nats.connect('worker')
    const definition = join(projectFolder, 'charts', 'paceline', 'files', 'crds', 'modeldeployments.yaml')
    await cluster.apply(readFileSync(definition, 'utf8'), '--server-side')
    await cluster.kubectl('wait', '--for=condition=Established', 'crd/modeldeployments.paceline.dev')
    await cluster.kubectl('create', 'namespace', namespace)
    await cluster.kubectl('label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted')
    kubelet = await startFakeKubelet(cluster.kubeconfig, namespace, bus)
    operator = await startOperatorProcess({
      access: { kubeconfig: cluster.kubeconfig },
      namespace,
      nats,
      identity: 'one',
      leaseMs: 15_000,
    })
    api = createTransport(openAccess(cluster.kubeconfig, systemClock), systemClock)
  })
  afterAll(async () => {
    api.close()
    await operator.end()
    kubelet.stop()
    await bus.close()
    await nats.stop()
    await cluster.down()
  })

  const pairs = async () => Pairs.parse(await cluster.get('pairs', '-n', namespace)).items
  const explain = () => Promise.resolve(operator.words())

  test('are refused with a message or end in a condition, and every pair recovers', { timeout: 300_000 }, async () => {
    const teller = { api, namespace }
    const names = Array.from({ length: namesCount }, (_, i) => `flip-${i}`)
    const specs = fc.sample(few, { seed, numRuns: namesCount * specsPerName })
    const results = await inLanes(names, (name, i) =>
      flipFlop(teller, 'ModelDeployment', name, specs.slice(i * specsPerName, (i + 1) * specsPerName)),
    )
    expect(results.flatMap(({ wrong }) => wrong)).toEqual([])
    const taken = results.reduce((sum, { good }) => sum + good, 0)
    expect(taken).toBeGreaterThan(400)

    await waitFor({ what: 'a condition of each', waitMsMax: 120_000, explain }, async () =>
      (await pairs()).every(({ metadata, status }) =>
        status?.conditions.some(
          ({ type, observedGeneration }) => type === 'Ready' && observedGeneration === metadata.generation,
        ),
      ),
    )
    expect(operator.child.exitCode).toBeNull()

    const right = { engine: { kind: 'simulated', contextTokensMax: 512, slots: 2 } }
    for (const name of names) expect((await tell(teller, 'ModelDeployment', name, right)).status).toBeLessThan(300)
    await waitFor({ what: 'each to serve', waitMsMax: 120_000, explain }, async () => {
      const all = await pairs()
      return (
        all.length === namesCount &&
        all.every(({ metadata, status }) =>
          status?.conditions.some(
            ({ type, status: is, observedGeneration }) =>
              type === 'Ready' && is === 'True' && observedGeneration === metadata.generation,
          ),
        )
      )
    })
    expect(operator.child.exitCode).toBeNull()
  })
})
