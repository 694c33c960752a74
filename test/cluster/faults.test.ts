/** Whatever dies, the same final state comes back: pods, processes, the operator itself, the API and its store. */
import { expect, test } from 'vitest'
import { waitFor } from './kit/cluster.ts'
import { killInPod } from './podProcess.ts'
import { belongings, rolledOut, simulatedPair, workersOf } from './pairs.ts'
import { killOperatorAfterWrites } from './operatorCrash.ts'
import { describePaceline } from './sharedPaceline.ts'

describePaceline('after a fault', (paceline) => {
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
      { what: 'no belongings', waitMsMax: 20_000 },
      async () => (await belongings(paceline(), 'frail')).length === 0,
    )
    expect(await belongings(paceline(), 'frail')).toEqual([])
  })
})
