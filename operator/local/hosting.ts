/**
 * The local platform's place: resource files that are watched, a model cache on this disk, workers that end with the operator.
 *
 * On shutdown every deployment is treated as deleted, so that the same planner drains the workers, removes their records and
 * kills what does not end.
 */
import { join } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { LocalPlatformConfig } from '#contracts/operatorConfig.ts'
import { delay } from '#runtime/clock.ts'
import type { Settings } from '../config.ts'
import type { Hosting, HostingEvents } from '../hosting.ts'
import type { OperatorMetrics } from '../metrics.ts'
import { openModelStore } from '../models/store.ts'
import type { OperatorPorts } from '../operator.ts'
import type { Labels } from '../labels.ts'
import type { Reports } from '../reports.ts'
import { LocalPlatform } from './platform.ts'
import type { ProcessSettings } from './processes.ts'
import { type FileWatch, readFiles, watchFiles } from './resourceFiles.ts'
import { readResources, type Resources } from './resources.ts'
import { WorkerLog } from './workerLog.ts'

/** What is allowed beyond the drain grace: for killing what did not end, and for the last writes. */
const stopMarginMs = 1_500
const stopPollMs = 50

export interface LocalPlace {
  readonly local: LocalPlatformConfig
  readonly processes: ProcessSettings
  readonly ports: OperatorPorts
  readonly reports: Reports
  readonly metrics: OperatorMetrics
  readonly labels: Labels
}

/** Throws `Failure('invalid-configuration')` with one line per mistake where the resources cannot be read. */
export async function openLocalHosting(place: LocalPlace): Promise<Hosting> {
  const { local, ports, metrics } = place
  let resources = await readAll(local.resources)
  const store = await openModelStore({
    ...ports,
    cacheDir: local.cacheDir,
    settings: ports.settings.sources,
    offline: local.offline,
    onFetched: (result) => metrics.downloads.inc({ result }),
    onFreshBytes: (bytes) => metrics.downloadBytes.inc({}, bytes),
  })
  const platform = createPlatform(place)
  let watch: FileWatch | null = null
  let told: HostingEvents | null = null
  let stopping = false
  const take = (found: Resources) => {
    platform.setResources(found)
    told?.onRoutes()
  }
  const reread = async (): Promise<void> => {
    const found = await readOrReport(platform, local.resources, ports)
    if (found === null || stopping) return
    resources = found
    told?.onApiKeys()
    take(resources)
  }
  return {
    platform,
    store,
    get source() {
      return { path: local.resources, problems: platform.problems }
    },
    resyncMs: limits.operator.resyncMs,
    reconcilesMax: limits.operator.reconcilesMax,
    apiKeys: () => resources.apiKeys,
    routes: () => platform.routes(),
    async begin(events) {
      told = events
      place.labels.onChange = () => {
        platform.routeLabelled()
        events.onRoutes()
      }
      take(resources)
      watch = await watchFiles(local.resources, { ...ports, onChange: () => void reread() })
    },
    async stop(drained) {
      stopping = true
      watch?.close()
      await store.close()
      take({ deployments: [], routes: [], apiKeys: [], configMaps: [] })
      await awaitEnd(platform, drained, ports)
      platform.killAll()
    },
    close: () => Promise.resolve(),
  }
}

async function awaitEnd(
  platform: LocalPlatform,
  drained: () => boolean,
  { clock, log, settings }: OperatorPorts,
): Promise<void> {
  const deadline = clock.now() + settings.config.drainGraceMs + stopMarginMs
  const isClean = () => platform.workersRunning === 0 && drained()
  while (!isClean() && clock.now() < deadline) await delay(clock, stopPollMs)
  if (!isClean()) log.warn({ workers: platform.workersRunning }, 'not everything ended in time; it is killed')
}

function createPlatform({ local, processes, ports, reports, labels }: LocalPlace): LocalPlatform {
  const { settings, clock, epochMs, random, log } = ports
  const { config }: Settings = settings
  return new LocalPlatform({
    processes,
    nats: { url: config.nats.url, workerUser: config.workerNatsUser },
    cacheDir: local.cacheDir,
    drainGraceMs: config.drainGraceMs,
    logLevel: config.logLevel,
    clock,
    epochMs,
    random,
    workerLog: new WorkerLog(join(local.stateDir, 'workers.log'), log),
    log,
    lastHeard: (worker) => reports.of(worker),
    labels,
  })
}

async function readAll(path: string): Promise<Resources> {
  const result = readResources(await readFiles(path))
  if (result.kind === 'read') return result.resources
  throw new Failure('invalid-configuration', result.problems.join('\n'))
}

/** Null: they cannot be taken; the platform says why, and the last good state stays. */
async function readOrReport(platform: LocalPlatform, path: string, { log }: OperatorPorts): Promise<Resources | null> {
  try {
    const resources = await readAll(path)
    const { deployments, routes, apiKeys } = resources
    log.info({ deployments: deployments.length, routes: routes.length, apiKeys: apiKeys.length }, 'resources read')
    return resources
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const problems = error.message.split('\n')
    platform.setProblems(problems)
    log.error({ problems }, 'resources are not taken; the last good state is kept')
    return null
  }
}
