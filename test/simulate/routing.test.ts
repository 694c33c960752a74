/**
 * What prefix-aware pick gains over round robin, on the real router and real workers in virtual time. The measurement with 100 workers
 * and every other rule beside it: `npm run bench -- routing`.
 */
import { expect, test } from 'vitest'
import { smolLm2 } from './curves.ts'
import { rivals } from './rivalPicks.ts'
import { measureRouting } from './routingMeasure.ts'
import { sixtyPercentOfTokens } from './routingTrace.ts'

const shape = { ...sixtyPercentOfTokens, seconds: 20, perSecond: 17 }
const cluster = { workers: 12, routers: 1, slots: 8, contextTokensMax: 2_048, curve: smolLm2, seed: 3, trace: shape }

test('the first token comes much sooner, and two routers are as good as one', async () => {
  const ours = await measureRouting(cluster)
  const turns = await measureRouting({ ...cluster, pick: rivals['round robin'] })
  const two = await measureRouting({ ...cluster, routers: 2 })
  expect(ours.firstTokenMs.mean).toBeLessThan(0.55 * turns.firstTokenMs.mean)
  expect(ours.cached).toBeGreaterThan(2 * turns.cached)
  expect(ours.busy).toBeLessThan(0.85 * turns.busy)
  expect(two.firstTokenMs.mean).toBeLessThan(1.15 * ours.firstTokenMs.mean)
})
