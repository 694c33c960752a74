/**
 * Bench (b): the router with simulated workers against a thin express + undici proxy before an HTTP mock with the same answers.
 *
 * Counts the gateway process's own CPU-seconds; broker and worker are reported beside them. All sides alternate.
 *
 *   node test/bench/router.ts [--rounds 5] [--quick] [--only stream] [--profile folder] [--sides express,paceline]
 */
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { canPin, pinProcess } from './harness/child.ts'
import { HttpClient } from './harness/client.ts'
import { type Gateway, startExpress, startMock, startPacelineGateway } from './harness/gateways.ts'
import { readOptions } from './harness/options.ts'
import { watch } from './harness/processes.ts'
import { figure, print, Report, spreadText } from './harness/report.ts'
import { interleave, type Round, summarise } from './harness/rounds.ts'
import { closedLoop, expectedText, type LoadFigures, pacedStreams } from './harness/routerSections.ts'
import { median } from './harness/statistics.ts'

const options = readOptions({ rounds: 5, quickRounds: 3 })
const report = new Report('router', 'Router: requests and frames per CPU-second against a thin express proxy')
const seconds = options.value('seconds', options.quick ? 3 : 8)
const tokens = 64
const profile = options.text('profile', '')
if (profile !== '') mkdirSync(profile, { recursive: true })

if (canPin) pinProcess(process.pid, [0])
else report.note('no taskset or fewer than two processors: nothing is pinned')
const mock = await startMock()
const gateways = [mock]
const sides = options.text('sides', 'express,paceline').split(',')
if (sides.includes('express')) gateways.push(await startExpress(mock))
if (sides.includes('paceline')) gateways.push(await startPacelineGateway(profile === '' ? null : resolve(profile)))
try {
  if (wanted('latency')) await latency()
  if (wanted('throughput')) await throughput()
  for (const streams of [50, 200]) if (wanted(`stream ${streams}`)) await streaming(streams)
} finally {
  for (const gateway of gateways.toReversed()) await gateway.stop()
}
process.exit(report.finish({ quick: options.quick }))

type Rounds = Map<string, Round<LoadFigures>[]>

function wanted(section: string): boolean {
  return options.only === null || section.includes(options.only)
}

async function measure(
  title: string,
  connections: number,
  load: (client: HttpClient, gateway: Gateway) => Promise<LoadFigures>,
  withoutGateway?: (gateway: Gateway) => Promise<LoadFigures>,
): Promise<Rounds> {
  const sides = gateways.map((gateway) => ({
    name: gateway.name,
    run: async () => {
      const client = new HttpClient(title.startsWith('stream') ? gateway.paced : gateway.instant, connections)
      try {
        return await watch(gateway.pids, () => load(client, gateway))
      } finally {
        await client.close()
      }
    },
  }))
  const [worker] = gateways.filter((gateway) => gateway.withoutGateway !== undefined)
  if (withoutGateway !== undefined && worker !== undefined)
    sides.push({
      name: 'paceline, no router',
      run: () => watch({ ...worker.pids, gateway: [] }, () => withoutGateway(worker)),
    })
  // One round that does not count: every side has compiled its code and opened its connections.
  await interleave(sides, 1)
  const rounds = await interleave(sides, options.rounds, (side, { value }) => {
    if (value.firstFailure !== null) print(`  ${title}: ${side}: ${value.failed} failed: ${value.firstFailure}`)
  })
  report.add(title, Object.fromEntries(rounds))
  return rounds
}

async function latency(): Promise<void> {
  const title = 'latency at concurrency 1'
  const rounds = await measure(title, 1, (client) => closedLoop(client, { concurrency: 1, durationMs: seconds * 500 }))
  report.table(
    title,
    ['side', 'p50 ms', 'p99 ms', 'added p50', 'added p99', 'CPU ms by process', 'others busy'],
    rows(rounds, (side, own) => [
      spreadText(summarise(own, ({ value }) => value.p50Ms)),
      spreadText(summarise(own, ({ value }) => value.p99Ms)),
      figure(added(rounds, side, ({ p50Ms }) => p50Ms)),
      figure(added(rounds, side, ({ p99Ms }) => p99Ms)),
    ]),
  )
  const p50 = added(rounds, 'paceline', ({ p50Ms }) => p50Ms)
  report.require({ what: 'added p50 at concurrency 1', measured: p50, bound: { atMost: 0.6 }, unit: 'ms' })
}

async function throughput(): Promise<void> {
  const title = 'throughput at concurrency 32'
  const rounds = await measure(title, 32, (client) =>
    closedLoop(client, { concurrency: 32, durationMs: seconds * 1_000 }),
  )
  report.table(
    title,
    ['side', 'requests/s', 'requests per gateway CPU-s', 'p99 ms', 'failed', 'CPU ms by process', 'others busy'],
    rows(rounds, (_side, own) => [
      spreadText(summarise(own, ({ value, wallMs }) => (value.done / wallMs) * 1_000)),
      spreadText(
        summarise(
          own,
          perCpuSecond(({ done }) => done),
        ),
      ),
      spreadText(summarise(own, ({ value }) => value.p99Ms)),
      String(own.reduce((total, { value }) => total + value.failed, 0)),
    ]),
  )
  report.require({
    what: 'requests per gateway CPU-second against thin express',
    measured: pairRatio(rounds, ({ done }) => done),
    bound: { atLeast: 0.7 },
    unit: 'x',
  })
}

async function streaming(streams: number): Promise<void> {
  const title = `streams: ${streams} at once, ${tokens} frames each`
  const expected = new Map<string, string>()
  const rounds = await measure(
    title,
    streams,
    async (client, gateway) => {
      const text = expected.get(gateway.name) ?? (await expectedText(client, tokens))
      expected.set(gateway.name, text)
      return pacedStreams(client, { streams, tokens, expected: text })
    },
    async (gateway) => gateway.withoutGateway?.(streams, tokens) ?? Promise.reject(new Error('no workers')),
  )
  report.table(
    title,
    [
      'side',
      'gap p50 ms',
      'gap p99 ms',
      'added gap p99',
      'frames per gateway CPU-s',
      'lost',
      'CPU ms by process',
      'others busy',
    ],
    rows(rounds, (side, own) => [
      spreadText(summarise(own, ({ value }) => value.p50Ms)),
      spreadText(summarise(own, ({ value }) => value.p99Ms)),
      figure(added(rounds, side, ({ p99Ms }) => p99Ms)),
      spreadText(
        summarise(
          own,
          perCpuSecond(({ frames }) => frames),
        ),
      ),
      String(own.reduce((total, { value }) => total + value.lost, 0)),
    ]),
  )
  const lost = (rounds.get('paceline') ?? []).reduce((total, { value }) => total + value.lost, 0)
  report.require({ what: `lost frames, ${streams} streams`, measured: lost, bound: { atMost: 0 }, unit: '' })
  if (streams < 200) return
  // Both bases are shown: over the mock, simulated workers' own timing is counted as if it were the router's.
  report.require({
    what: `added inter-token p99 over the mock, ${streams} streams`,
    measured: added(rounds, 'paceline', ({ p99Ms }) => p99Ms),
    bound: { atMost: 3 },
    unit: 'ms',
  })
  report.require({
    what: `inter-token p99 that the router adds to the worker's own, ${streams} streams`,
    measured: added(rounds, 'paceline', ({ p99Ms }) => p99Ms, 'paceline, no router'),
    bound: { atMost: 3 },
    unit: 'ms',
  })
  report.require({
    what: `frames per gateway CPU-second against thin express, ${streams} streams`,
    measured: pairRatio(rounds, ({ frames }) => frames),
    bound: { atLeast: 1 },
    unit: 'x',
  })
}

function rows(rounds: Rounds, cells: (side: string, own: readonly Round<LoadFigures>[]) => string[]): string[][] {
  return [...rounds].map(([side, own]) => [
    side,
    ...cells(side, own),
    Object.keys(own[0]?.cpuMs ?? {})
      .map((part) => `${part} ${figure(summarise(own, ({ cpuMs }) => cpuMs[part] ?? 0).median)}`)
      .join(', '),
    figure(median(own.map((round) => round.others))),
  ])
}

function perCpuSecond(count: (value: LoadFigures) => number): (round: Round<LoadFigures>) => number {
  return ({ value, cpuMs }) => (!cpuMs['gateway'] ? Number.NaN : (count(value) / cpuMs['gateway']) * 1_000)
}

/** What a side adds to the direct call of the same round. */
function added(rounds: Rounds, side: string, latencyOf: (value: LoadFigures) => number, base = 'direct'): number {
  const direct = rounds.get(base) ?? []
  return median(
    (rounds.get(side) ?? []).flatMap((round) => {
      const base = direct.find(({ number }) => number === round.number)
      return base === undefined ? [] : [latencyOf(round.value) - latencyOf(base.value)]
    }),
  )
}

function pairRatio(rounds: Rounds, count: (value: LoadFigures) => number): number {
  const express = rounds.get('thin express') ?? []
  return median(
    (rounds.get('paceline') ?? []).flatMap((round) => {
      const other = express.find(({ number }) => number === round.number)
      return other === undefined ? [] : [perCpuSecond(count)(round) / perCpuSecond(count)(other)]
    }),
  )
}
