/**
 * Everything the operator watches in its namespace, and the indexes by which one pair's share of it is found without looking at
 * the others'. Sole owner of the caches; who changed is told by the pair's name.
 */
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import type { KubernetesClient } from './client.ts'
import { apiKeySelector, calibrationSelector, labels, ownSelector } from './core/names.ts'
import {
  type ApiObject,
  type Claim,
  type ConfigMap,
  type DeploymentObject,
  type DisruptionBudget,
  type Job,
  type Pod,
  type Resource,
  resources,
  type RouteObject,
  type Secret,
  type Service,
} from './core/objects.ts'
import { createReflector, type Reflector, type ReflectorOptions } from './reflector.ts'

export interface WatchHandlers {
  readonly onDeployment: (name: string, change: Change<DeploymentObject>) => void
  readonly onRoute: (name: string, change: Change<RouteObject>) => void
  readonly onPod: (change: Change<Pod>) => void
  readonly onBelonging: (deployment: string) => void
  /** A volume, a fetch, or a pod of one. */
  readonly onModel: (object: ApiObject, change: Change<ApiObject>) => void
  readonly onApiKeys: () => void
  readonly onCalibration: (configMap: string) => void
  readonly onEvent: NonNullable<ReflectorOptions<ApiObject>['onEvent']>
}
export interface Change<T> {
  readonly before: T | undefined
  readonly now: T | undefined
}

export interface WatchOptions {
  readonly client: KubernetesClient
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
}

export class Watches {
  readonly deployments: Reflector<DeploymentObject>
  readonly routes: Reflector<RouteObject>
  readonly pods: Reflector<Pod>
  readonly services: Reflector<Service>
  readonly budgets: Reflector<DisruptionBudget>
  readonly configMaps: Reflector<ConfigMap>
  readonly claims: Reflector<Claim>
  readonly jobs: Reflector<Job>
  readonly secrets: Reflector<Secret>
  readonly calibrations: Reflector<ConfigMap>
  readonly #podsOfDeployment = new Map<string, Set<string>>()
  readonly #podsOfJob = new Map<string, Set<string>>()

  constructor(options: WatchOptions, handlers: WatchHandlers) {
    const { onEvent, onDeployment, onRoute, onApiKeys, onCalibration, onModel } = handlers
    const of = <T extends ApiObject>(
      resource: Resource<T>,
      onChange: (name: string, change: Change<T>) => void,
      more: { labelSelector?: string; keep?: (object: T) => T } = {},
    ) => createReflector<T>({ ...options, ...more, resource, onChange, onEvent })
    const own = { labelSelector: ownSelector }
    const onBelonging = (_name: string, { before, now }: Change<ApiObject>) => tellOwner(now ?? before, handlers)
    const onModelChange = (_name: string, change: Change<ApiObject>) => {
      const object = change.now ?? change.before
      if (object !== undefined) onModel(object, change)
    }
    this.deployments = of(resources.deployments, onDeployment)
    this.routes = of(resources.routes, onRoute)
    this.pods = of(resources.pods, (name, change) => this.#onPod(name, change, handlers), { ...own, keep: keepPod })
    this.services = of(resources.services, onBelonging, own)
    this.budgets = of(resources.budgets, onBelonging, { ...own, keep: withoutStatus })
    this.configMaps = of(resources.configMaps, onBelonging, own)
    this.claims = of(resources.claims, onModelChange, own)
    this.jobs = of(resources.jobs, onModelChange, own)
    this.secrets = of(resources.secrets, onApiKeys, { labelSelector: apiKeySelector })
    this.calibrations = of(resources.configMaps, onCalibration, { labelSelector: calibrationSelector, keep: keepTexts })
  }

  /** Resolves when all of them are known. */
  async start(): Promise<void> {
    await Promise.all(this.#all().map((reflector) => reflector.start()))
  }

  stop(): void {
    for (const reflector of this.#all()) reflector.stop()
  }

  podsOf(deployment: string): readonly Pod[] {
    return this.#podsNamed(this.#podsOfDeployment.get(deployment))
  }

  podsOfJob(job: string): readonly Pod[] {
    return this.#podsNamed(this.#podsOfJob.get(job))
  }

  /** Pairs of which there are pods. */
  deploymentsWithPods(): Iterable<string> {
    return this.#podsOfDeployment.keys()
  }

  #all(): readonly { start(): Promise<void>; stop(): void }[] {
    const { deployments, routes, pods, services, budgets, configMaps, claims, jobs, secrets, calibrations } = this
    return [deployments, routes, pods, services, budgets, configMaps, claims, jobs, secrets, calibrations]
  }

  #podsNamed(names: ReadonlySet<string> | undefined): readonly Pod[] {
    return [...(names ?? [])].flatMap((name) => this.pods.get(name) ?? [])
  }

  #onPod(name: string, change: Change<Pod>, handlers: WatchHandlers): void {
    const pod = change.now ?? change.before
    const deployment = pod?.metadata?.labels?.[labels.deployment]
    const job = pod?.metadata?.labels?.['batch.kubernetes.io/job-name']
    const present = change.now !== undefined
    if (deployment !== undefined) {
      index(this.#podsOfDeployment, deployment, name, present)
      handlers.onPod(change)
    } else if (job !== undefined && pod !== undefined) {
      index(this.#podsOfJob, job, name, present)
      handlers.onModel(pod, change)
    }
  }
}

function tellOwner(object: ApiObject | undefined, { onBelonging }: WatchHandlers): void {
  const deployment = object?.metadata?.labels?.[labels.deployment]
  if (deployment !== undefined) onBelonging(deployment)
}

function index(map: Map<string, Set<string>>, key: string, name: string, present: boolean): void {
  const names = map.get(key) ?? new Set<string>()
  if (present) {
    names.add(name)
    map.set(key, names)
    return
  }
  names.delete(name)
  if (names.size === 0) map.delete(key)
}

/** Of a pod only who it is and how it stands: thousands of them are held. */
function keepPod(pod: Pod): Pod {
  const { name, uid, resourceVersion, labels: own, deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata ?? {}
  const metadata = { name, uid, resourceVersion, labels: own, deletionTimestamp, deletionGracePeriodSeconds }
  const { phase, reason, message, conditions, containerStatuses, initContainerStatuses, podIP } = pod.status ?? {}
  const status = {
    phase,
    reason,
    message,
    podIP,
    conditions: conditions?.filter(({ type }) => type === 'PodScheduled'),
    containerStatuses: containerStatuses?.map(({ name: container, state }) => ({ name: container, state })),
    initContainerStatuses: initContainerStatuses?.map(({ name: container, state }) => ({ name: container, state })),
  }
  return prune({ metadata, status }) as Pod
}

/** Of a calibration what it says. */
function keepTexts({ metadata, data }: ConfigMap): ConfigMap {
  const { name, uid, resourceVersion } = metadata ?? {}
  return prune({ metadata: { name, uid, resourceVersion }, data: data ?? {} })
}

/** The disruption controller counts in it all the time; nothing of it matters here. */
function withoutStatus(budget: DisruptionBudget): DisruptionBudget {
  const { status: _status, ...rest } = budget
  return rest
}

const prune = (value: object): object => JSON.parse(JSON.stringify(value)) as object
