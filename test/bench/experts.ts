/**
 * Experts on the real model: what turns, look-ahead and a queue per expert gain over first come, first served.
 *
 * Run: `npm run bench -- experts [--load 0.5] [--seconds 50] [--threads 2]`. Eight LoRA adapters with random weights, room for three of
 * them, requests of unequal popularity (1/rank) through a router and a worker; `--load` is the share of what full batches without a
 * switch could do. Wants the machine for itself.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { PolicyCache } from '#algorithms/cachePolicies/cache.ts'
import { leastRecent } from '#algorithms/cachePolicies/leastRecent.ts'
import { lookAhead } from '#algorithms/cachePolicies/lookAhead.ts'
import type { CachePolicy } from '#algorithms/cachePolicies/policy.ts'
import { limits } from '#contracts/limits.ts'
import { createRandom, type Random } from '#test/simulate/random.ts'
import { writeLoraFile } from '../../gpu-worker/llama/loraFile.fixture.ts'
import { testModel } from '../behaviour/modelRunnerModel.ts'
import {
  adapterPath,
  type Arrival,
  type Order,
  type Served,
  serveAlone,
  serveTraffic,
} from './harness/expertTraffic.ts'
import { readOptions } from './harness/options.ts'
import { Report } from './harness/report.ts'
import { quantile } from './harness/statistics.ts'

const options = readOptions({ rounds: 1, quickRounds: 1 })
const load = options.value('load', 0.5)
const seconds = options.value('seconds', options.quick ? 10 : 50)
const alone = options.value('alone', options.quick ? 8 : 48)
const names = ['law', 'sql', 'verse', 'code', 'maths', 'health', 'news', 'chat']
const tokensOf = { least: 20, most: 60 }

const found = testModel()
if (found.kind === 'missing') throw new Error(found.reason)
const folder = await mkdtemp(join(tmpdir(), 'bench-experts-'))
const threads = options.value('threads', availableParallelism())
const stand = { modelPath: found.path, folder, experts: names, resident: 3, slots: 8, threads }
for (const [seed, name] of names.entries()) await writeLoraFile(adapterPath(stand, name), found.path, { seed })
const report = new Report('experts', 'Experts on the real model')

const capacity = await fullBatches()
const arrivals = arrivalsAt((load * capacity) / mean(tokensOf), createRandom(options.value('seed', 1)))
report.note(`${arrivals.length} requests; full batches without a switch: ${capacity.toFixed(0)} tokens/s`)
const served: Record<Order, Served> = {
  arrival: await serveTraffic(stand, arrivals, 'arrival'),
  turns: await serveTraffic(stand, arrivals, 'turns'),
}
report.add('served', { load, capacity, ...served })
tellTraffic()
tellHitRates()
await tellTexts()
await rm(folder, { recursive: true })
process.exit(report.finish({ quick: options.quick }))

/** What the engine does with one expert and no end of requests. */
async function fullBatches(): Promise<number> {
  const all = Array.from({ length: 3 * stand.slots }, (_, number) => arrivalOf(number, names[0] ?? '', 40, 0))
  const { tokens, seconds: took } = await serveTraffic(stand, all, 'turns')
  return tokens / took
}

function arrivalsAt(perSecond: number, random: Random): Arrival[] {
  const arrivals: Arrival[] = []
  const weights = names.map((_, rank) => 1 / (rank + 1))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  for (let atMs = 0; atMs < seconds * 1_000; atMs += random.exponential(1_000 / perSecond)) {
    let left = random.next() * total
    const rank = weights.findIndex((weight) => (left -= weight) < 0)
    const tokens = random.int(tokensOf.least, tokensOf.most)
    arrivals.push(arrivalOf(arrivals.length, names[Math.max(0, rank)] ?? '', tokens, atMs))
  }
  return arrivals
}

function arrivalOf(number: number, expert: string, tokens: number, atMs: number): Arrival {
  return { number, expert, tokens, atMs, prompt: `The ${number}th letter on ${expert} that came to our house said` }
}

function tellTraffic(): void {
  const row = (order: Order, name: string) => {
    const { switches, loads, tokens, seconds: took, waitsMs } = served[order]
    const figures = [
      perThousand(order),
      loads,
      quantile(waitsMs, 0.5) / 1_000,
      quantile(waitsMs, 1) / 1_000,
      tokens / took,
    ]
    return [name, String(switches), ...figures.map((figure) => figure.toFixed(figure < 20 ? 1 : 0))]
  }
  report.table(
    `${arrivals.length} requests, load ${load}`,
    ['order', 'switches', 'per 1,000 tokens', 'loads', 'median wait, s', 'longest wait, s', 'tokens/s'],
    [row('arrival', 'as they come'), row('turns', 'in turns')],
  )
  const { arrival, turns } = served
  const rate = ({ tokens, seconds: took }: Served) => tokens / took
  const share = { unit: 'of first come, first served' }
  const fewer = { atMost: 0.7 }
  report.require({ what: 'switches', measured: perThousand('turns') / perThousand('arrival'), bound: fewer, ...share })
  report.require({ what: 'loads', measured: turns.loads / arrival.loads, bound: fewer, ...share })
  report.require({ what: 'tokens/s', measured: rate(turns) / rate(arrival), bound: { atLeast: 1.2 }, ...share })
  const longest = quantile(turns.waitsMs, 1) / 1_000
  const guard = { atMost: limits.experts.waitMsMax / 1_000 }
  report.require({ what: 'longest wait for a turn', measured: longest, bound: guard, unit: 's' })
}

function perThousand(order: Order): number {
  return (1_000 * served[order].switches) / served[order].tokens
}

/** Of the experts of the arrivals one by one, each a use. */
function tellHitRates(): void {
  const uses = arrivals.map(({ expert }) => expert)
  const shareOf = (capacityOf: number, policy: CachePolicy<string>) => {
    const cache = new PolicyCache({ bytesMax: capacityOf, policy })
    const hits = uses.filter((key, i) => {
      const item = { key, bytes: 1, cost: 1 }
      return cache.use(item, { upcoming: uses.slice(i + 1) }).kind === 'hit'
    })
    return hits.length / uses.length
  }
  const rows = names.map((_, i) => {
    const lru = shareOf(i + 1, leastRecent())
    const belady = shareOf(i + 1, lookAhead({ lookAheadMax: uses.length }))
    const what = `hits of look-ahead over LRU, room for ${i + 1}`
    report.require({ what, measured: belady - lru, bound: { atLeast: 0 }, unit: 'of the uses' })
    return [String(i + 1), lru.toFixed(3), belady.toFixed(3)]
  })
  report.table('Share of uses that find their adapter in memory', ['room for', 'LRU', 'look-ahead'], rows)
}

async function tellTexts(): Promise<void> {
  const { arrival, turns } = served
  const orders = turns.texts.filter((text, number) => text !== arrival.texts[number]).length
  const some = arrivals.slice(0, alone)
  const each = await serveAlone(stand, some)
  const others = some.filter(({ number }, i) => turns.texts[number] !== each[i]).length
  report.note(`texts compared: ${turns.texts.length} of both orders, ${some.length} with the same request alone`)
  report.require({ what: 'texts that differ between the orders', measured: orders, bound: { atMost: 0 }, unit: '' })
  report.require({ what: 'texts that differ from those alone', measured: others, bound: { atMost: 0 }, unit: '' })
}

function mean({ least, most }: { readonly least: number; readonly most: number }): number {
  return (least + most) / 2
}
