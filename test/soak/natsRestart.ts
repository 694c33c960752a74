/**
 * Soak: nats-server is killed and restarted 20 times under 20 streams. No token is lost or doubled, everything is back within 5 s,
 * and new requests meanwhile get clear 503s.
 *
 *   node test/soak/natsRestart.ts [--restarts 20] [--streams 20] [--seed 1] [--quick]
 */
import { readOptions } from '../bench/harness/options.ts'
import { startPlatform } from '../bench/harness/platform.ts'
import { figure, Report } from '../bench/harness/report.ts'
import { deploymentsFor, type NatsRestarts, runNatsRestarts } from './scenarios/natsRestarts.ts'

const options = readOptions({ rounds: 1, quickRounds: 1 })
const restarts = options.value('restarts', options.quick ? 4 : 20)
const streams = options.value('streams', 20)
const seed = options.value('seed', 1)
const report = new Report(
  'nats-restart',
  `nats-server killed ${restarts} times under ${streams} streams (seed ${seed})`,
)
const platform = await startPlatform({ name: 'soak-nats-restart', deployments: deploymentsFor(streams) })
try {
  show(await runNatsRestarts(platform, { restarts, streams, tokens: 300, seed }))
} finally {
  await platform.stop()
}
process.exit(report.finish({ quick: options.quick }))

function show(result: NatsRestarts): void {
  report.add('results', result)
  report.table(
    'restarts',
    ['restart', 'away ms', 'streams', 'streams back ms', 'new request served ms', '503s meanwhile'],
    result.restarts.map((each, index) => [
      String(index + 1),
      figure(each.upAt - each.killedAt),
      String(each.streams),
      figure(each.streamsBackMs),
      figure(each.servedMs),
      String(each.refusals),
    ]),
  )
  report.note(`${result.completed} streams completed and compared`)
  for (const line of [...result.wrong, ...result.unclear].slice(0, 10)) report.note(line)
  const most = (values: readonly number[]) => Math.max(0, ...values)
  report.require({ what: 'wrong or failed streams', measured: result.wrong.length, bound: { atMost: 0 }, unit: '' })
  report.require({ what: 'unclear refusals', measured: result.unclear.length, bound: { atMost: 0 }, unit: '' })
  report.require({
    what: 'streams back',
    measured: most(result.restarts.map(({ streamsBackMs }) => streamsBackMs)),
    bound: { atMost: 5_000 },
    unit: 'ms',
  })
  report.require({
    what: 'new requests served',
    measured: most(result.restarts.map(({ servedMs }) => servedMs)),
    bound: { atMost: 5_000 },
    unit: 'ms',
  })
  report.require({
    what: 'streams that ran across each restart, at least',
    measured: Math.min(...result.restarts.map((each) => each.streams)),
    bound: { atLeast: Math.ceil(streams / 2) },
    unit: '',
  })
}
