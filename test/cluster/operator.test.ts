/**
 * The operator alone against a real API server, garbage collector and disruption controller; the node is played
 * (`test/kubernetes/fakeKubelet.ts`). What needs real pods is in the other files of this folder.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import * as z from 'zod'
import type { resources } from '../../operator/kubernetes/core/objects.ts'
import { changeGenerated } from './generated.ts'
import { waitFor } from './kit/cluster.ts'
import { describeLoneOperator, type Ground, prepareGround } from './loneOperator.ts'

const namespace = 'alone'
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

/** What a person does to pairs of one namespace, and what can be seen of them. */
const pairsOn = (ground: () => Ground) => {
  const apply = (name: string, fields = '', engine = 'slots: 2') =>
    ground().cluster.apply(
      `apiVersion: paceline.dev/v1alpha1
kind: ModelDeployment
metadata: { name: ${name} }
spec: { engine: { kind: simulated, contextTokensMax: 512, ${engine} } ${fields} }`,
      '-n',
      ground().namespace,
    )
  const ready = (name: string, replicas: number) =>
    waitFor(
      {
        what: `${name} with ${replicas} workers`,
        waitMsMax: 120_000,
        explain: ground().words,
      },
      async () => {
        const { items } = Pairs.parse(await ground().cluster.list('deployments', ground().namespace))
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
  const names = async (kinds: readonly (keyof typeof resources)[]) => {
    const { cluster, namespace } = ground()
    const lists = await Promise.all(kinds.map((kind) => cluster.list(kind, namespace, 'paceline.dev/deployment')))
    return lists.flatMap((list) => Named.parse(list).items.map(({ metadata }) => metadata.name))
  }
  const kinds = ['pods', 'services', 'budgets', 'configMaps'] as const
  const remove = async (name: string) => {
    await ground().cluster.kubectl('-n', ground().namespace, 'delete', 'pair', name, '--timeout=60s')
    await waitFor({ what: 'nothing left', waitMsMax: 120_000 }, async () => (await names(kinds)).length === 0)
  }
  return { apply, ready, names, remove }
}

describeLoneOperator('an operator and a real API server', namespace, (ground) => {
  const { apply, ready, names, remove } = pairsOn(ground)

  test('a pair comes, changes its size and its revision, and goes; nothing stays behind', async () => {
    await ground().start()
    await apply('smol', ', replicas: 2')
    await ready('smol', 2)
    const before = await names(['pods'])
    expect(before).toHaveLength(2)
    await ground().cluster.kubectl('-n', namespace, 'scale', 'pair/smol', '--replicas=1')
    await ready('smol', 1)
    await apply('smol', ', replicas: 1', 'slots: 3')
    await ready('smol', 1)
    await waitFor({ what: 'the old workers to be gone', waitMsMax: 60_000, explain: ground().words }, async () =>
      (await names(['pods'])).every((pod) => !before.includes(pod)),
    )
    const described = await ground().cluster.kubectl('-n', namespace, 'describe', 'pair', 'smol')
    expect(described).toMatch(/WorkerStarted .*smol-/)
    await remove('smol')
  })

  test('a route says what of it is missing, then where requests go; a younger one does not get its name', async () => {
    await ground().start()
    const route = (name: string) => ({
      apiVersion: 'paceline.dev/v1alpha1',
      kind: 'ModelRoute',
      metadata: { name },
      spec: { name: 'assistant', direct: { deployment: 'smol' } },
    })
    const columns = async (name: string) =>
      (await ground().cluster.kubectl('-n', namespace, 'get', 'mroute', name, '--no-headers', '-o', 'wide')).split(
        / {2,}/,
      )
    const shows = (name: string, ...words: string[]) =>
      waitFor({ what: `${name}: ${words.join(' ')}`, waitMsMax: 60_000 }, async () => {
        const found = await columns(name)
        return words.every((word) => found.includes(word))
      })
    await ground().cluster.apply(JSON.stringify(route('first')), '-n', namespace)
    await shows('first', 'assistant', 'False', 'NoDeploymentReady', 'DeploymentMissing')
    await apply('smol')
    await ready('smol', 1)
    await shows('first', 'True', 'Routing', 'AllReady', 'AsExpected')
    // Older by a second at least: that is how exactly the API tells.
    await sleep(1_100)
    await ground().cluster.apply(JSON.stringify(route('second')), '-n', namespace)
    await shows('second', 'NameConflict')
    const described = await ground().cluster.kubectl('-n', namespace, 'describe', 'mroute', 'first')
    expect(described).toMatch(/Observed Generation: +1/)
    expect(described).toMatch(/AllReady .*DeploymentsReady is True/)
    await ground().cluster.kubectl('-n', namespace, 'delete', 'mroute', 'first')
    await shows('second', 'AsExpected')
    await ground().cluster.kubectl('-n', namespace, 'delete', 'mroute', 'second')
    await remove('smol')
  })

  test('a restart of etcd and of the API server is survived, and what was asked meanwhile is done', async () => {
    const operator = await ground().start()
    await apply('smol')
    await ready('smol', 1)
    const before = await names(['pods'])
    await ground().cluster.restart('etcd')
    await ground().cluster.restart('kube-apiserver')
    await apply('smol', ', replicas: 3')
    await ready('smol', 3)
    expect(await names(['pods'])).toEqual(expect.arrayContaining(before))
    expect(operator.child.exitCode).toBeNull()
    await remove('smol')
  })

  test('a leader that is frozen is followed by the other; woken, it writes nothing and ends', async () => {
    const first = await ground().start({ identity: 'first', leaseMs: 4_000 })
    await waitFor({ what: 'first to lead', waitMsMax: 60_000 }, () =>
      Promise.resolve(first.words().includes('"leading"')),
    )
    await ground().start({ identity: 'second', leaseMs: 4_000 })
    await apply('smol')
    await ready('smol', 1)
    first.child.kill('SIGSTOP')
    await apply('smol', ', replicas: 2')
    await ready('smol', 2)
    const writes = () =>
      ground()
        .cluster.audit()
        .filter(({ verb, agent }) => verb !== 'get' && agent.startsWith('paceline-operator')).length
    first.child.kill('SIGCONT')
    await waitFor({ what: 'the first to end', waitMsMax: 60_000, explain: async () => first.words() }, () =>
      Promise.resolve(first.child.exitCode === 1),
    )
    expect(first.words()).toContain('the lease is lost')
    expect(await names(['pods'])).toHaveLength(2)
    expect(writes()).toBeGreaterThan(0)
    await remove('smol')
  })

  // Each with an operator and a namespace of its own, at the same time: one of the two waits for nothing to happen.
  test.concurrent('pairs that just serve cost nothing but the lease', async () => {
    await using quiet = await prepareGround(ground().cluster, 'quiet')
    const pairs = pairsOn(() => quiet)
    await quiet.start()
    await pairs.apply('smol')
    await pairs.ready('smol', 1)
    const asked = () =>
      quiet.cluster
        .audit()
        .filter(
          ({ agent, resource, namespace: of }) =>
            agent.startsWith('paceline-operator') && of === 'quiet' && resource !== 'leases',
        )
    const settled = { what: 'the last request for this pair', waitMsMax: 90_000, everyMs: 500 }
    await waitFor(settled, () => Promise.resolve(Date.now() - (asked().at(-1)?.receivedAt.getTime() ?? 0) > 4_000))
    const before = asked().length
    await sleep(8_000)
    expect(
      asked()
        .slice(before)
        .map(({ verb, resource }) => `${verb} ${resource}`),
    ).toEqual([])
    await pairs.remove('smol')
  })

  // The short form; the long one is in `test/soak`.
  test.concurrent('generated changes are refused with a message or end in a condition, and every pair recovers', {
    timeout: 400_000,
  }, async () => {
    await using own = await prepareGround(ground().cluster, 'generated')
    const operator = await own.start()
    const { wrong, taken, told } = await changeGenerated(own, { specsPerName: 12 })
    expect(wrong).toEqual([])
    expect(taken).toBeGreaterThan(told / 5)
    expect(operator.child.exitCode).toBeNull()
  })
})
