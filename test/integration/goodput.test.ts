/**
 * SLO goodput, short form of `test/soak/goodput.ts`: the router counts what the client counts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Platform, startPlatform } from '../bench/harness/platform.ts'
import { scrape } from '../bench/harness/prometheus.ts'
import { deployments, fates, runGoodput, serverCounts } from '../soak/scenarios/goodput.ts'
import { whyNoNats } from './support/needs.ts'

const reason = whyNoNats()
if (reason !== null) console.warn(`goodput is not tested: ${reason}`)

describe.skipIf(reason !== null)('SLO goodput', () => {
  let platform: Platform
  beforeAll(async () => {
    platform = await startPlatform({ name: 'goodput', deployments })
  })
  afterAll(() => platform.stop())

  test('is counted by cause as a client counts it', async () => {
    const before = await scrape(platform.url)
    const judged = await runGoodput(platform.url, { count: 250, seed: 3 })
    const server = serverCounts(before, await scrape(platform.url))
    // Requests near a limit may fall on either side of it; the others may not.
    const close = judged.filter(({ margin }) => margin < 0.25).length
    const difference = (fate: string) =>
      Math.abs((server[fate] ?? 0) - judged.filter((one) => one.fate === fate).length)
    for (const fate of fates) expect(difference(fate), fate).toBeLessThanOrEqual(close)
    expect(Object.values(server).reduce((sum, count) => sum + count, 0)).toBe(
      judged.filter(({ fate }) => fate !== 'not-counted').length,
    )
    expect(new Set(judged.map(({ fate }) => fate)).size).toBeGreaterThanOrEqual(5)
  })
})
