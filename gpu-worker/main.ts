/** The worker process: wiring, from the environment to a clean end. */
import { availableParallelism } from 'node:os'
import { workerMetrics } from '#contracts/metrics.ts'
import { limits } from '#contracts/limits.ts'
import { systemClock } from '#runtime/clock.ts'
import { type HealthServer, serveHealth } from '#runtime/health.ts'
import { createLog, type Log } from '#runtime/log.ts'
import { createMetrics } from '#runtime/metrics.ts'
import { connectBus } from '#runtime/nats.ts'
import { onShutdown } from '#runtime/shutdown.ts'
import { version } from '#runtime/version.ts'
import { printable, readConfig, type WorkerSettings } from './config.ts'
import { createProposers } from './createProposers.ts'
import { createRunner } from './createRunner.ts'
import { openExperts } from './expertSupplies.ts'
import { createMeasurementStore } from './measurementStore.ts'
import { createMemoryReader } from './memory.ts'
import { createWorker, type Worker } from './worker.ts'

try {
  const settings = readConfig(process.env)
  const { worker, logLevel } = settings.config
  const log = createLog({ part: 'worker', level: logLevel, fields: { worker } })
  log.info({ version, ...printable(settings) }, 'starting')
  await run(settings, log)
} catch (error) {
  createLog({ part: 'worker', level: 'info' }).error({ error }, 'the worker cannot run')
  process.exit(1)
}

async function run(settings: WorkerSettings, log: Log): Promise<void> {
  const { config } = settings
  const metrics = createMetrics(workerMetrics)
  let worker: Worker | null = null
  const health = await serveHealth({
    host: config.metricsHost,
    port: config.metricsPort,
    live: () => true,
    ready: () => worker?.state === 'ready',
    metrics,
    pages: { '/status': () => worker?.report() ?? { state: 'loading' } },
  })
  // Registered before anything slow, so that a stop during loading is heard.
  onShutdown(log, () => worker?.drain(config.drainGraceMs ?? limits.drain.graceMs) ?? Promise.resolve())
  worker = await open(settings, log, metrics, health)
  worker.start()
  await worker.finished
  await health.close()
  process.exit(0)
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

async function open(
  { config, natsPassword, natsAuthority }: WorkerSettings,
  log: Log,
  metrics: Parameters<typeof createWorker>[0]['metrics'],
  health: HealthServer,
): Promise<Worker> {
  const clock = systemClock
  const cpus = availableParallelism()
  const { user, url } = config.nats
  const access = { url, user, password: natsPassword, authority: natsAuthority }
  const bus = await connectBus({ ...access, role: 'worker', name: config.worker, log })
  const crash = () => process.kill(process.pid, 'SIGKILL')
  const host = { platform: process.platform, arch: process.arch }
  const runner = await createRunner(config, { clock, log, cpus, crash, host })
  const readMemory = await createMemoryReader()
  log.info({ ...runner.info, chatTemplate: runner.info.chatTemplate !== null }, 'engine ready')
  return createWorker({
    bus,
    clock,
    runner,
    experts: await openExperts(config, { runner, clock, log }),
    proposers: await createProposers(config, { runner, log, clock, host, readMemory }),
    readMemory,
    log,
    metrics,
    config,
    hardware: {
      pid: process.pid,
      cpus,
      metricsUrl: `${health.url}/metrics`,
      cpuMs,
    },
    curveStore: createMeasurementStore({ folder: config.cacheDir, log }),
  })
}
