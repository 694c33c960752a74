/**
 * Soak: 2,000 requests with mixed SLO results. The server's counts by cause equal the client's own within 1%.
 *
 *   node test/soak/goodput.ts [--count 2000] [--seed 1] [--quick]
 */
import { readOptions } from '../bench/harness/options.ts'
import { startPlatform } from '../bench/harness/platform.ts'
import { scrape } from '../bench/harness/prometheus.ts'
import { Report } from '../bench/harness/report.ts'
import { deployments, fates, runGoodput, serverCounts } from './scenarios/goodput.ts'

const options = readOptions({ rounds: 1, quickRounds: 1 })
const count = options.value('count', options.quick ? 300 : 2_000)
const seed = options.value('seed', 1)
const report = new Report(
  'goodput',
  `SLO goodput: ${count} requests counted by the router and by the client (seed ${seed})`,
)
const platform = await startPlatform({ name: 'soak-goodput', deployments })
try {
  await measure()
} finally {
  await platform.stop()
}
process.exit(report.finish({ quick: options.quick }))

async function measure(): Promise<void> {
  const before = await scrape(platform.url)
  const judged = await runGoodput(platform.url, { count, seed })
  const server = serverCounts(before, await scrape(platform.url))
  const client = Object.fromEntries(fates.map((fate) => [fate, judged.filter((one) => one.fate === fate).length]))
  const close = judged.filter((one) => one.margin < 0.05).length
  report.add('counts', { server, client, close })
  report.table(
    'requests by fate',
    ['fate', 'client', 'router', 'difference'],
    fates.map((fate) => {
      const [own = 0, theirs = 0] = [client[fate], server[fate]]
      return [fate, String(own), String(theirs), String(theirs - own)]
    }),
  )
  report.note(`${close} requests were within 5% of a limit`)
  for (const fate of fates) {
    const difference = Math.abs((server[fate] ?? 0) - (client[fate] ?? 0))
    report.require({
      what: `${fate}: difference`,
      measured: (difference / count) * 100,
      bound: { atMost: 1 },
      unit: '% of all',
    })
  }
  const counted = (counts: Record<string, number>) => fates.reduce((sum, fate) => sum + (counts[fate] ?? 0), 0)
  report.require({
    what: 'fates that occurred',
    measured: fates.filter((fate) => (client[fate] ?? 0) > 0).length,
    bound: { atLeast: 6 },
    unit: '',
  })
  report.require({
    what: 'requests the router judged, of those the client did',
    measured: counted(server) / counted(client),
    bound: { atLeast: 1 },
    unit: 'x',
  })
}
