/** A pair that sleeps is woken by a request, which is held and answered; /scale works for whoever uses it. */
import { expect, test } from 'vitest'
import { waitFor } from './kit/cluster.ts'
import { listed, rolledOut, simulatedPair, workersOf } from './pairs.ts'
import { describePaceline } from './sharedPaceline.ts'

describePaceline('scaling', (paceline) => {
  const running = async (name: string) => (await workersOf(paceline(), name)).length
  const wait = (what: string) => ({ what, waitMsMax: 90_000, everyMs: 200, explain: () => paceline().describe() })
  const ask = (model: string) =>
    paceline()
      .client()
      .chat.completions.create({ model, messages: [{ role: 'user', content: 'hi' }], max_tokens: 4 })

  test('to zero when nobody asks, and back for the first request, which is held and answered', async () => {
    const scaling = { minReplicas: 0, maxReplicas: 1, idleSeconds: 2 }
    const manifest = JSON.parse(simulatedPair('sleepy')) as { spec: Record<string, unknown> }
    delete manifest.spec['replicas']
    manifest.spec['scaling'] = scaling
    await paceline().apply(JSON.stringify(manifest))
    await listed(paceline(), 'sleepy')
    await waitFor(wait('no worker'), async () => (await running('sleepy')) === 0)
    const startedAt = performance.now()
    const answer = await ask('sleepy')
    const waitedMs = performance.now() - startedAt
    expect(answer.choices).toHaveLength(1)
    // Pod start and the engine's own start take most of it; the bound is one on a hang.
    expect(waitedMs).toBeLessThan(60_000)
    await waitFor(wait('no worker again'), async () => (await running('sleepy')) === 0)
  })

  test('by kubectl scale, both ways', async () => {
    await paceline().apply(simulatedPair('wide'))
    await rolledOut(paceline(), 'wide')
    await paceline().kubectl('scale', 'pair/wide', '--replicas=3')
    await waitFor(wait('three workers'), async () => (await running('wide')) === 3)
    await rolledOut(paceline(), 'wide')
    await paceline().kubectl('scale', 'pair/wide', '--replicas=1')
    await waitFor(wait('one worker'), async () => (await running('wide')) === 1)
    expect((await ask('wide')).choices).toHaveLength(1)
  })
})
