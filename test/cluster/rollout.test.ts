/** A changed pair is a rollout that nobody notices: no request fails and no stream is cut, release after release. */
import { expect, test } from 'vitest'
import { rolledOut, simulatedPair, unguarded } from './pairs.ts'
import { describePaceline } from './sharedPaceline.ts'
import { rollOutRealModel, rollOutUnderLoad } from './rollouts.ts'

describePaceline('a rollout', (paceline) => {
  /** It goes while the next test runs; that it goes is waited for at the end. */
  const leave = (name: string) => paceline().kubectl('delete', 'pair', name, '--wait=false')

  test('of simulated workers under 20 requests/s and 10 long streams loses nothing', async () => {
    const result = await rollOutUnderLoad(paceline(), { name: 'roll', rollouts: 3 })
    expect(result.failures).toEqual([])
    expect(result.answered).toBeGreaterThan(20)
    expect(result.streamsEnded).toBeGreaterThanOrEqual(10)
    await leave('roll')
  })

  test('of the real model under requests and two streams loses nothing', async () => {
    const result = await rollOutRealModel(paceline(), { name: 'real', rollouts: 1 })
    expect(result.failures).toEqual([])
    expect(result.answered + result.streamsEnded).toBeGreaterThan(2)
    await leave('real')
  })

  test('that cannot become ready leaves the old revision serving', async () => {
    await paceline().apply(simulatedPair('safe', { contextTokensMax: 4_096 }))
    await rolledOut(paceline(), 'safe')
    const broken = {
      podTemplate: { spec: { nodeSelector: { nowhere: 'true' } } },
      rollout: { ...unguarded, readyTimeoutSeconds: 5 },
    }
    await paceline().apply(simulatedPair('safe', { contextTokensMax: 8_192, more: broken }))
    await paceline().until('safe', 'Degraded', 'True', 60_000)
    const asked = { model: 'safe', messages: [{ role: 'user' as const, content: 'hi' }], max_tokens: 4 }
    expect((await paceline().client().chat.completions.create(asked)).choices).toHaveLength(1)
    await paceline().apply(simulatedPair('safe', { contextTokensMax: 2_048 }))
    await rolledOut(paceline(), 'safe')
  })
})
