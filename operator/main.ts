/**
 * Starts the operator: settings, bus, the place it runs in, its HTTP pages, and the way it ends.
 */
import { Failure } from '#contracts/failure.ts'
import { systemClock } from '#runtime/clock.ts'
import { createLog, type Log } from '#runtime/log.ts'
import { serveHealth } from '#runtime/health.ts'
import { connectBus } from '#runtime/nats.ts'
import { onShutdown } from '#runtime/shutdown.ts'
import { version } from '#runtime/version.ts'
import { readSettings, type Settings } from './config.ts'
import { openLocalHosting } from './local/hosting.ts'
import { type Operator, type OperatorPorts, startOperator } from './operator.ts'

try {
  await main(readSettings(process.env, process.execPath))
} catch (error) {
  if (!(error instanceof Failure)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
}

async function main(settings: Settings): Promise<void> {
  const { config } = settings
  const log = createLog({ part: 'operator', level: config.logLevel })
  log.info({ version, ...config }, 'starting')
  const bus = await connectBus({
    ...config.nats,
    role: 'operator',
    password: settings.natsPassword,
    authority: settings.natsAuthority,
    name: 'paceline-operator',
    log,
  })
  const ports: OperatorPorts = {
    settings,
    bus,
    clock: systemClock,
    epochMs: () => Date.now(),
    random: () => Math.random(),
    pid: process.pid,
    log,
  }
  await serve(settings, await start(ports), log)
}

async function start(ports: OperatorPorts): Promise<Operator> {
  const { config, processes } = ports.settings
  if (config.platform.kind === 'local' && processes !== null) {
    const place = { local: config.platform, processes, ports }
    return startOperator(ports, (parts) => openLocalHosting({ ...place, ...parts }))
  }
  if (config.platform.kind === 'kubernetes') {
    // Only there: the client library costs 80 MiB and most of a second.
    const { startClusterOperator } = await import('./kubernetes/clusterOperator.ts')
    return startClusterOperator(ports, config.platform, { onLost: () => process.exit(1) })
  }
  throw new Failure('invalid-configuration', 'platform.kind is local, but nothing says how a worker is started')
}

async function serve({ config }: Settings, operator: Operator, log: Log): Promise<void> {
  const { metrics } = operator
  const http = await serveHealth({
    ...config.http,
    live: () => true,
    ready: () => operator.ready(),
    metrics: {
      contentType: metrics.contentType,
      text: () => {
        operator.updateGauges()
        return metrics.text()
      },
    },
    pages: { '/status': () => operator.status() },
  })
  log.info({ url: http.url }, 'operator is up')
  onShutdown(log, async () => {
    await operator.stop()
    await http.close()
  })
}
