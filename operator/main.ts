/**
 * Starts the operator of the local platform: settings, bus, operator, its HTTP pages, and the way it ends.
 */
import { Failure } from '#contracts/failure.ts'
import { systemClock } from '#runtime/clock.ts'
import { createLog, type Log } from '#runtime/log.ts'
import { serveHealth } from '#runtime/health.ts'
import { connectBus } from '#runtime/nats.ts'
import { onShutdown } from '#runtime/shutdown.ts'
import { version } from '#runtime/version.ts'
import { readSettings, type Settings } from './config.ts'
import { type Operator, startOperator } from './operator.ts'

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
    name: 'paceline-operator',
    log,
  })
  const operator = await startOperator({
    settings,
    bus,
    clock: systemClock,
    epochMs: () => Date.now(),
    random: () => Math.random(),
    pid: process.pid,
    log,
  })
  await serve(settings, operator, log)
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
