/**
 * The cluster as the operator's place: one namespace, watched; workers, model files and status in it. Exists only while this
 * process leads. Workers outlive it: nothing is drained when it ends.
 */
import { hostname } from 'node:os'
import { limits } from '#contracts/limits.ts'
import type { ApiKeySecret } from '#contracts/resources/apiKey.ts'
import type { KubernetesPlatformConfig } from '#contracts/operatorConfig.ts'
import type { Hosting, HostingEvents } from '../hosting.ts'
import type { OperatorMetrics } from '../metrics.ts'
import type { OperatorPorts } from '../operator.ts'
import type { Reports } from '../reports.ts'
import type { KubernetesClient } from './client.ts'
import { readApiKeys } from './core/apiKeys.ts'
import type { PodPlace } from './core/podSpec.ts'
import { createEventRecorder, type EventRecorder } from './events.ts'
import { ModelUse } from './modelUse.ts'
import { ClusterModels } from './models.ts'
import { resources } from './objects.ts'
import { ClusterPlatform } from './platform.ts'
import { Watches } from './watches.ts'

export interface ClusterPlace {
  readonly cluster: KubernetesPlatformConfig
  readonly client: KubernetesClient
  readonly ports: OperatorPorts
  readonly reports: Reports
  readonly metrics: OperatorMetrics
  readonly onClose: () => Promise<void>
}

export function openClusterHosting(place: ClusterPlace): Hosting {
  const { cluster, client, ports, reports, metrics, onClose } = place
  const { clock, random, log } = ports
  const recorder = createRecorder(place)
  let told: HostingEvents | null = null
  let apiKeys: readonly ApiKeySecret[] = []
  let keyProblems: readonly string[] = []
  const watches: Watches = new Watches(
    { client, clock, random, log },
    {
      onDeployment: (name, change) => platform.deploymentChanged(name, change),
      onPod: (change) => platform.podChanged(change),
      onBelonging: (deployment) => platform.announce(deployment),
      onModel: (object, change) => use.changed(object, change),
      onApiKeys: () => {
        if (told !== null) takeKeys()
      },
      onEvent: (kind) => metrics.watchEvents.inc({ kind }),
    },
  )
  const podPlace = placeOf(place)
  const models: ClusterModels = new ClusterModels({
    client,
    clock,
    random,
    log,
    place: podPlace,
    claims: watches.claims,
    jobs: watches.jobs,
    podsOfJob: (job) => watches.podsOfJob(job),
    ownersOf: (sha256) => use.ownersOf(sha256),
    onFetched: (result) => metrics.downloads.inc({ result }),
  })
  const platform: ClusterPlatform = new ClusterPlatform({
    client,
    watches,
    recorder,
    clock,
    random,
    log,
    place: podPlace,
    lastHeard: (worker) => reports.of(worker),
    onUse: (name, files) => use.set(name, files),
    upkeepModels: (name) => use.upkeep(name),
  })
  const use: ModelUse = new ModelUse({ models, platform })
  const takeKeys = () => {
    const { keys, problems } = readApiKeys(watches.secrets.values())
    if (problems.length > 0) log.error({ problems }, 'API keys that cannot be taken')
    apiKeys = keys
    keyProblems = problems
    told?.onApiKeys()
  }
  return {
    platform,
    store: models,
    get source() {
      return { path: `namespace ${cluster.namespace}`, problems: [...platform.problems, ...keyProblems] }
    },
    resyncMs: limits.cluster.resyncMs,
    apiKeys: () => apiKeys,
    async begin(events) {
      models.attach(ports.bus)
      await watches.start()
      told = events
      takeKeys()
    },
    // Workers and their records stay; whoever leads next goes on with them.
    stop: () => Promise.resolve(),
    async close() {
      watches.stop()
      await recorder.idle()
      await onClose()
    },
  }
}

function createRecorder({ client, ports }: ClusterPlace): EventRecorder {
  const { clock, epochMs, random, log } = ports
  const instance = hostname()
  return createEventRecorder({ client, regarding: resources.deployments, clock, epochMs, random, instance, log })
}

function placeOf({ cluster, ports }: ClusterPlace): PodPlace {
  const { config, natsAuthority } = ports.settings
  return {
    config: cluster.worker,
    modelCache: cluster.modelCache,
    nats: {
      url: cluster.worker.natsUrl ?? config.nats.url,
      user: config.workerNatsUser,
      authority: natsAuthority,
    },
    drainGraceMs: config.drainGraceMs,
    logLevel: config.logLevel,
  }
}
