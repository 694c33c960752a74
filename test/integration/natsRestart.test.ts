/** The short form of `test/soak/natsRestart.ts`: real nats-server, router and worker processes, two kills under 20 streams. */
import { expect, test } from 'vitest'
import { startPlatform } from '../bench/harness/platform.ts'
import { deploymentsFor, runNatsRestarts } from '../soak/scenarios/natsRestarts.ts'
import { findNatsServer } from './support/natsServer.ts'

const isPresent = findNatsServer() !== null
if (!isPresent) console.warn('restarts of NATS are not tested: no nats-server on PATH, PACELINE_NATS_SERVER is not set')

test.skipIf(!isPresent)(
  'streams survive kills of nats-server to the letter, and new requests are refused clearly',
  async () => {
    const streams = 20
    const platform = await startPlatform({ name: 'test-nats-restart', deployments: deploymentsFor(streams) })
    try {
      const result = await runNatsRestarts(platform, { restarts: 2, streams, tokens: 200, seed: 1 })
      expect(result.wrong).toEqual([])
      expect(result.unclear).toEqual([])
      expect(result.completed).toBeGreaterThan(streams)
      for (const restart of result.restarts) {
        expect(restart.streams).toBeGreaterThan(streams / 3)
        expect(restart.streamsBackMs).toBeLessThan(5_000)
        expect(restart.servedMs).toBeLessThan(5_000)
      }
      expect(result.restarts.some(({ refusals }) => refusals > 0)).toBe(true)
    } finally {
      await platform.stop()
    }
  },
)
