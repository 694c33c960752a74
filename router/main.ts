/**
 * The router process: reads its settings, connects, serves, and on SIGTERM drains. Wiring only.
 *
 * Draining: `/readyz` says 503 and every answer closes its connection. For the delay everything is answered, because balancers need a
 * while to forget this router; then what runs is finished, at most for the grace period, and in the first half of it also what still
 * comes on connections from before. The rest is ended with a clear error, the sockets are closed and the bus is left.
 */
import { limits } from '#contracts/limits.ts'
import type { RouterConfig, RouterLimits } from '#contracts/routerConfig.ts'
import { connectBus } from '#runtime/nats.ts'
import { delay, systemClock } from '#runtime/clock.ts'
import { createLog, type Log } from '#runtime/log.ts'
import { onShutdown } from '#runtime/shutdown.ts'
import { readConfig, type Settings } from './config.ts'
import { type HttpServer, serveHttp } from './http.ts'
import { createRouterMetrics, type RouterMetrics } from './metrics.ts'
import { createRouter, type Router } from './router.ts'
import { startTracing } from './startTracing.ts'
import { type Kept, TrafficLog } from './trafficLog.ts'

const drainPollMs = 20

async function start(
  { config, natsPassword, natsAuthority, tracing: tracingSettings }: Settings,
  log: Log,
): Promise<void> {
  const clock = systemClock
  const bus = await connectBus({
    ...config.nats,
    role: 'router',
    password: natsPassword,
    authority: natsAuthority,
    name: 'paceline-router',
    log,
  })
  const metrics = createRouterMetrics()
  const traffic = trafficLogOf(config, log, metrics)
  const router = createRouter({
    bus,
    clock,
    log,
    metrics,
    config,
    random: Math.random,
    ...(traffic === null ? {} : { traffic }),
  })
  await router.start()
  const secondsNow = () => Math.floor(Date.now() / 1_000)
  const tracing = startTracing({
    config: config.tracing,
    settings: tracingSettings,
    clock,
    log,
    metrics,
    random: Math.random,
    instance: router.id,
    epochMs: performance.timeOrigin,
  })
  const http = await serveHttp({ router, config, clock, log, metrics, secondsNow, tracer: tracing.tracer })
  log.info({ router: router.id, url: http.url, port: http.port, pid: process.pid, config }, 'listening')
  onShutdown(log, async () => {
    await drain(router, http, config.limits)
    if (traffic !== null) await Promise.race([traffic.flush(), delay(clock, limits.traffic.flushMs)])
    await bus.close()
    await tracing.close()
  })
}

/** Old examples go although nothing new comes. */
const sweepTrafficMs = 3_600_000

function trafficLogOf({ trafficFolder: folder }: RouterConfig, log: Log, metrics: RouterMetrics): TrafficLog | null {
  if (folder === undefined) return null
  const count = (route: string, kept: Kept) => metrics.trafficExamples.inc({ route, kept })
  const traffic = new TrafficLog({ folder, epochMs: () => Date.now(), log, count })
  void traffic.sweep()
  systemClock.every(sweepTrafficMs, () => void traffic.sweep())
  return traffic
}

async function drain(router: Router, http: HttpServer, { drainDelayMs, drainGraceMs }: RouterLimits): Promise<void> {
  // Without a delay nobody stands before it who could send elsewhere: what is new is refused at once.
  router.drain(drainDelayMs === 0 ? 0 : drainDelayMs + drainGraceMs / 2)
  await delay(systemClock, drainDelayMs)
  const until = systemClock.now() + drainGraceMs
  while (router.active > 0 && systemClock.now() < until) await delay(systemClock, drainPollMs)
  router.stop()
  await http.close()
}

async function main(): Promise<void> {
  let log = createLog({ part: 'router', level: 'info' })
  try {
    const settings = readConfig(process.env)
    log = createLog({ part: 'router', level: settings.config.logLevel })
    await start(settings, log)
  } catch (error) {
    log.error({ error }, 'the router cannot start')
    process.exit(1)
  }
}

await main()
