/**
 * Whatever dies, the same final state comes back: pods, processes, the operator itself, the API and its store. In a cluster of its
 * own, which nobody has prepared: the definitions come with the chart. Its lease is short, so that another leader need not be
 * waited for.
 */
import { beforeAll, expect, test } from 'vitest'
import { waitFor } from './kit/cluster.ts'
import { describeOwnCluster } from './kit/sharedCluster.ts'
import { freezeLeader } from './leaderFreeze.ts'
import { killOperatorAfterWrites } from './operatorCrash.ts'
import { install, type Paceline } from './paceline.ts'
import { belongings, rolledOut, simulatedPair, workersOf } from './pairs.ts'
import { killInPod } from './podProcess.ts'

const lease = { durationMs: 3_000, renewMs: 800, retryMs: 400, marginMs: 300 }

describeOwnCluster('after a fault', { extent: 'all' }, (cluster) => {
  let installed: Paceline | null = null
  const paceline = () => {
    if (installed === null) throw new Error('Paceline is there inside tests only')
    return installed
  }
  beforeAll(async () => {
    installed = await install(cluster(), { namespace: 'faults', values: { operator: { lease } } })
  })
  const replaced = async (name: string, old: string) => {
    await waitFor({ what: `${name} to get another worker`, waitMsMax: 60_000, everyMs: 200 }, async () => {
      const workers = await workersOf(paceline(), name)
      return workers.length > 0 && workers.every(({ metadata }) => metadata.uid !== old)
    })
    await rolledOut(paceline(), name)
  }

  test('a deleted worker pod is replaced', async () => {
    await paceline().apply(simulatedPair('frail'))
    await rolledOut(paceline(), 'frail')
    const [worker] = await workersOf(paceline(), 'frail')
    await paceline().kubectl('delete', 'pod', worker?.metadata.name ?? '', '--wait=false')
    await replaced('frail', worker?.metadata.uid ?? '')
  })

  test('a killed worker process is replaced', async () => {
    const [worker] = await workersOf(paceline(), 'frail')
    killInPod(paceline().cluster, worker?.metadata.name ?? '', 'SIGKILL')
    await replaced('frail', worker?.metadata.uid ?? '')
  })

  test('a leader that freezes is followed by another, and when it wakes up late it writes nothing', async () => {
    const rounds = await freezeLeader(paceline(), { name: 'led', rounds: 2 })
    expect(rounds.flatMap(({ staleWrites }) => staleWrites)).toEqual([])
    for (const { leader, successor, successorWrites } of rounds) {
      expect(successor).not.toBe(leader)
      expect(successorWrites).toBeGreaterThan(0)
    }
  })

  test('a killed operator leaves no trace, whichever write was its last', async () => {
    const results = await killOperatorAfterWrites(paceline(), { name: 'torn', writes: [1, 3, 6] })
    for (const { write, difference } of results) expect.soft(difference, `after write ${write}`).toEqual([])
  })

  test('the API and its store come back, and changes are carried out again', async () => {
    await paceline().cluster.restart('etcd')
    await paceline().cluster.restart('kube-apiserver')
    await paceline().kubectl('scale', 'pair/frail', '--replicas=2')
    await rolledOut(paceline(), 'frail')
    await waitFor(
      { what: 'two workers', waitMsMax: 60_000 },
      async () => (await workersOf(paceline(), 'frail')).length === 2,
    )
  })

  test('nothing of a deleted pair is left', async () => {
    await paceline().kubectl('delete', 'pair', 'frail', '--timeout=60s')
    await waitFor(
      { what: 'no belongings', waitMsMax: 90_000 },
      async () => (await belongings(paceline(), 'frail')).length === 0,
    )
    expect(await belongings(paceline(), 'frail')).toEqual([])
  })
})
