/**
 * The cluster as the operator's place: one namespace, watched; workers, model files and status in it. Exists only while this
 * process leads. Workers outlive it: nothing is drained when it ends.
 */
import { hostname } from 'node:os'
import { limits } from '#contracts/limits.ts'
import type { ApiKeySecret } from '#contracts/resources/apiKey.ts'
import type { KubernetesPlatformConfig } from '#contracts/operatorConfig.ts'
import type { EmbedsOrAnswers } from '#contracts/riskPolicy.ts'
import type { Bus } from '#runtime/bus.ts'
import { delay } from '#runtime/clock.ts'
import type { Hosting, HostingEvents } from '../hosting.ts'
import type { OperatorMetrics } from '../metrics.ts'
import type { Labels } from '../labels.ts'
import type { OperatorPorts } from '../operator.ts'
import type { Reports } from '../reports.ts'
import type { KubernetesClient } from './client.ts'
import { type ApiKeys, readApiKeys } from './core/apiKeys.ts'
import { NameClaims } from './core/claims.ts'
import type { NameOwner } from '../core/observed.ts'
import type { PodPlace } from './core/podSpec.ts'
import { servedBySpec } from '../core/calibrations.ts'
import type { RouteState, Standing } from '../core/routeStatus.ts'
import { createEventRecorder, type EventRecorder } from './events.ts'
import { ModelUse } from './modelUse.ts'
import { Routes } from './routes.ts'
import { ClusterModels } from './models.ts'
import { type ApiObject, isDeleting, type Resource, resources } from './core/objects.ts'
import { ClusterPlatform } from './platform.ts'
import { type WatchHandlers, Watches } from './watches.ts'

export interface ClusterPlace {
  readonly cluster: KubernetesPlatformConfig
  readonly client: KubernetesClient
  readonly ports: Omit<OperatorPorts, 'bus'> & { readonly bus: Bus }
  readonly reports: Reports
  readonly metrics: OperatorMetrics
  readonly labels: Labels
  readonly onClose: () => Promise<void>
}

export class ClusterHosting implements Hosting {
  readonly resyncMs = limits.cluster.resyncMs
  readonly reconcilesMax = limits.cluster.reconcilesMax
  readonly platform: ClusterPlatform
  readonly store: ClusterModels
  readonly #place: ClusterPlace
  readonly #routes: Routes
  readonly #watches: Watches
  readonly #recorders: readonly EventRecorder[]
  #told: HostingEvents | null = null
  #apiKeys: ApiKeys = { keys: [], problems: [] }

  constructor(place: ClusterPlace) {
    const { client, ports, reports, metrics } = place
    const { clock, random, log } = ports
    const podPlace = placeOf(place)
    this.#place = place
    const recorder = createRecorder(place, resources.deployments)
    const routeRecorder = createRecorder(place, resources.routes)
    this.#recorders = [recorder, routeRecorder]
    const watches = new Watches(
      { client, clock, random, log },
      this.#handlers((object, change) => use.changed(object, change)),
    )
    const use: ModelUse = new ModelUse({ models: () => this.store, platform: () => this.platform })
    this.#watches = watches
    const common = { client, clock, random, log, place: podPlace }
    const naming = {
      names: new NameClaims(),
      nowIso: () => new Date(ports.epochMs()).toISOString(),
      onNames: (owners: readonly NameOwner[]) => this.#lookAt(owners),
    }
    this.store = new ClusterModels({
      ...common,
      claims: watches.claims,
      jobs: watches.jobs,
      podsOfJob: (job) => watches.podsOfJob(job),
      ownersOf: (sha256) => use.ownersOf(sha256),
      onFetched: (result) => metrics.downloads.inc({ result }),
    })
    this.platform = new ClusterPlatform({
      ...common,
      watches,
      ...naming,
      recorder,
      lastHeard: (worker) => reports.of(worker),
      onUse: (name, files) => use.set(name, files),
      upkeepModels: (name) => use.upkeep(name),
    })
    this.#routes = new Routes({
      ...common,
      ...naming,
      routes: watches.routes,
      recorder: routeRecorder,
      standingOf: (name) => this.#standingOf(name),
      onRoutes: () => this.#told?.onRoutes(),
      configMap: (name) => watches.calibrations.get(name)?.data ?? null,
      servedBy: (name) => this.#servedBy(name),
      labels: place.labels,
    })
    place.labels.onChange = (route) => this.#routes.look(route)
  }

  get source() {
    const { namespace } = this.#place.cluster
    return { path: `namespace ${namespace}`, problems: [...this.platform.problems, ...this.#apiKeys.problems] }
  }

  apiKeys(): readonly ApiKeySecret[] {
    return this.#apiKeys.keys
  }

  routes(): readonly RouteState[] {
    return this.#routes.states()
  }

  async begin(events: HostingEvents): Promise<void> {
    this.store.attach(this.#place.ports.bus)
    await this.#watches.start()
    // Workers that run already have time to say so: nothing is decided on a silence that is only ours.
    await delay(this.#place.ports.clock, limits.cluster.settleMs)
    this.#told = events
    this.#takeKeys()
    this.#routes.begin()
  }

  /** Workers and their records stay; whoever leads next goes on with them. */
  stop(): Promise<void> {
    return Promise.resolve()
  }

  async close(): Promise<void> {
    this.#watches.stop()
    await this.#routes.stop()
    await Promise.all(this.#recorders.map((recorder) => recorder.close()))
    await this.#place.onClose()
  }

  #handlers(onModel: WatchHandlers['onModel']): WatchHandlers {
    return {
      onDeployment: (name, change) => {
        this.platform.deploymentChanged(name, change)
        this.#routes.deploymentChanged(name)
      },
      onRoute: (name, change) => this.#routes.changed(name, change),
      onPod: (change) => this.platform.podChanged(change),
      onBelonging: (deployment) => this.platform.belongingChanged(deployment),
      onModel,
      onApiKeys: () => this.#takeKeys(),
      onCalibration: (configMap) => this.#routes.configMapChanged(configMap),
      onEvent: (kind) => this.#place.metrics.watchEvents.inc({ kind }),
    }
  }

  #lookAt(owners: readonly NameOwner[]): void {
    for (const { kind, name } of owners)
      if (kind === 'deployment') this.platform.announce(name)
      else this.#routes.look(name)
  }

  #standingOf(name: string): Standing {
    const deployment = this.platform.deploymentOf(name)
    if (deployment === undefined || isDeleting(deployment.object)) return 'missing'
    const conditions = this.platform.view(deployment.name).status?.conditions ?? []
    return conditions.some(({ type, status }) => type === 'Ready' && status === 'True') ? 'ready' : 'not-ready'
  }

  #servedBy(name: string): EmbedsOrAnswers | null {
    const known = this.platform.deploymentOf(name)?.known
    return known === undefined || known === null ? null : servedBySpec(known.spec)
  }

  #takeKeys(): void {
    // Before everything is known a part of the keys would be taken for all of them.
    if (this.#told === null) return
    this.#apiKeys = readApiKeys(this.#watches.secrets.values())
    const { problems } = this.#apiKeys
    if (problems.length > 0) this.#place.ports.log.error({ problems }, 'API keys that cannot be taken')
    this.#told.onApiKeys()
  }
}

function createRecorder({ client, ports }: ClusterPlace, regarding: Resource<ApiObject>): EventRecorder {
  const { clock, epochMs, random, log } = ports
  const instance = hostname()
  return createEventRecorder({ client, regarding, clock, epochMs, random, instance, log })
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
