/**
 * The pod of one worker. Pure, and built from a closed list of what a pair may say: whoever may write a ModelDeployment gets no
 * host namespace, host path, privilege, service account, command, image or Secret by it (`podTemplate` has no field for those,
 * and the little it has is copied field by field here).
 *
 * The pod passes the Pod Security Standard `restricted`, cannot write to its own image and holds no token. One pod is one life
 * of one worker: nothing restarts inside it.
 */
import type { DeploymentName, Revision, WorkerId } from '#contracts/ids.ts'
import type { ModelCacheConfig, WorkerPodConfig } from '#contracts/operatorConfig.ts'
import type { ModelDeploymentSpec, ModelFile } from '#contracts/resources/modelDeployment.ts'
import { type WorkerConfig, workerConfigVariable } from '#contracts/workerConfig.ts'
import { canonicalJson } from '../../core/revision.ts'
import { type PairPaths, workerConfigOf, workerDrainMs } from '../../core/workerConfig.ts'
import type { Pod } from './objects.ts'
import { fetchContainer } from './fetchJob.ts'
import { folderOf, scratchFolder } from './folders.ts'
import { labels, managedBy, modelName, type OwnerReference } from './names.ts'
import { confined, containerSecurity, literal, natsVariables } from './security.ts'

export interface WorkerOfPod extends PairPaths {
  readonly worker: WorkerId
  readonly deployment: DeploymentName
  readonly revision: Revision
  readonly spec: ModelDeploymentSpec
  /** The files it loads, and where they are in the pod. */
  readonly files: readonly ModelFile[]
  readonly image: string
  readonly owner: OwnerReference
}

export interface PodPlace {
  readonly config: WorkerPodConfig
  readonly modelCache: ModelCacheConfig
  readonly nats: { readonly url: string; readonly user: string; readonly authority: string | null }
  readonly drainGraceMs: number
  readonly logLevel: WorkerConfig['logLevel']
}

/** What the pod's own end needs beyond the drain: leaving the registry, closing connections. */
const graceMarginSeconds = 10

export function imageOf(spec: ModelDeploymentSpec, config: WorkerPodConfig): string {
  const wantsGpu = Object.keys(spec.resources.limits).some((name) => name.startsWith('nvidia.com/'))
  return wantsGpu || spec.engine.backend === 'cuda' ? (config.cudaImage ?? config.image) : config.image
}

export function workerPod(worker: WorkerOfPod, place: PodPlace): Pod {
  const { config, drainGraceMs } = place
  const template = worker.spec.podTemplate
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: worker.worker,
      labels: podLabels(worker, config),
      ...(Object.keys(config.annotations).length === 0 ? {} : { annotations: { ...config.annotations } }),
      ownerReferences: [worker.owner],
    },
    spec: {
      restartPolicy: 'Never',
      // The first process of a namespace ignores signals that it has no handler for: a worker that is told to end while it starts
      // would not hear it, become ready, take requests and be killed with them.
      shareProcessNamespace: true,
      terminationGracePeriodSeconds: Math.ceil(drainGraceMs / 1_000) + graceMarginSeconds,
      ...confined(config),
      ...placement(template.spec, worker),
      ...initContainers(worker, place),
      containers: [container(worker, place)],
      volumes: volumes(worker, place),
    },
  }
}

/** A pair's own labels first, so that they can never take the place of ours. */
function podLabels({ deployment, revision, spec }: WorkerOfPod, config: WorkerPodConfig): Record<string, string> {
  return {
    ...spec.podTemplate.metadata.labels,
    ...config.labels,
    [labels.name]: 'paceline-worker',
    [labels.managedBy]: managedBy,
    [labels.deployment]: deployment,
    [labels.revision]: revision,
  }
}

type TemplateSpec = ModelDeploymentSpec['podTemplate']['spec']
type PodFields = NonNullable<Pod['spec']>

function placement(template: TemplateSpec, { deployment }: WorkerOfPod): Partial<PodFields> {
  const { nodeSelector, tolerations, affinity, topologySpreadConstraints, ...names } = template
  const { runtimeClassName, priorityClassName, schedulerName } = names
  const own = topologySpreadConstraints.length === 0 ? spread(deployment) : topologySpreadConstraints
  return {
    ...(Object.keys(nodeSelector).length === 0 ? {} : { nodeSelector: { ...nodeSelector } }),
    ...(tolerations.length === 0 ? {} : { tolerations: tolerations.map(present) }),
    // Judged by the API server when the pod is made: neither can reach anything but where the pod runs.
    ...(affinity === undefined ? {} : { affinity: affinity as NonNullable<PodFields['affinity']> }),
    topologySpreadConstraints: own as NonNullable<PodFields['topologySpreadConstraints']>,
    ...present({ runtimeClassName, priorityClassName, schedulerName }),
  }
}

/** Workers of a pair on different nodes where there is room for that, so that one node does not take them all along. */
function spread(deployment: DeploymentName): NonNullable<PodFields['topologySpreadConstraints']> {
  return [
    {
      maxSkew: 1,
      topologyKey: 'kubernetes.io/hostname',
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: { matchLabels: { [labels.deployment]: deployment } },
    },
  ]
}

type Container = PodFields['containers'][number]

function container(worker: WorkerOfPod, place: PodPlace): Container {
  const { config } = place
  return {
    name: 'worker',
    image: worker.image,
    imagePullPolicy: config.imagePullPolicy,
    env: environment(worker, place),
    ports: [{ name: 'http', containerPort: config.httpPort, protocol: 'TCP' }],
    resources: resourcesOf(worker.spec, config),
    securityContext: containerSecurity,
    // Nothing is restarted: a worker that hangs for a minute is ended, and the operator starts another.
    livenessProbe: probe('/livez', { periodSeconds: 10, failureThreshold: 6 }),
    readinessProbe: probe('/readyz', { periodSeconds: 5, failureThreshold: 2 }),
    volumeMounts: [
      { name: 'scratch', mountPath: scratchFolder },
      { name: 'scratch', mountPath: '/tmp', subPath: 'tmp' },
      ...worker.files.map(({ sha256 }) => ({
        name: modelName(sha256),
        mountPath: folderOf(sha256),
        readOnly: true,
      })),
    ],
    terminationMessagePolicy: 'FallbackToLogsOnError',
  }
}

function probe(path: string, timing: { periodSeconds: number; failureThreshold: number }) {
  return { httpGet: { path, port: 'http', scheme: 'HTTP' }, timeoutSeconds: 5, ...timing }
}

/** `$(…)` in a value is replaced by the kubelet; the only one meant so is the pod's address. */
const podAddress = '$(PACELINE_POD_IP)'

function environment(
  worker: WorkerOfPod,
  { config, nats, logLevel, drainGraceMs }: PodPlace,
): NonNullable<Container['env']> {
  const told = workerConfigOf(worker, {
    nats: { url: nats.url, user: nats.user },
    metricsPort: config.httpPort,
    metricsHost: podAddress,
    drainGraceMs: workerDrainMs(drainGraceMs),
    cacheDir: scratchFolder,
    logLevel,
  })
  const text = literal(canonicalJson(told)).replace(literal(podAddress), () => podAddress)
  return [
    { name: 'PACELINE_POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    { name: workerConfigVariable, value: text },
    ...natsVariables(config, nats.authority),
  ]
}

/** The pair's own words win, name by name. A GPU stands in the limits alone, which is where the device plugins read it. */
function resourcesOf(spec: ModelDeploymentSpec, config: WorkerPodConfig): NonNullable<Container['resources']> {
  const limits = texts({ ...config.resources.limits, ...spec.resources.limits })
  const requests = texts({ ...config.resources.requests, ...spec.resources.requests })
  // A request above its limit is refused by the API server; a default must not cause that.
  for (const name of Object.keys(requests))
    if (limits[name] !== undefined && spec.resources.requests[name] === undefined) delete requests[name]
  return { limits, requests }
}

const texts = (quantities: Readonly<Record<string, string | number>>): Record<string, string> =>
  Object.fromEntries(Object.entries(quantities).map(([name, value]) => [name, String(value)]))

function initContainers(worker: WorkerOfPod, place: PodPlace): Partial<PodFields> {
  if (place.modelCache.kind !== 'ephemeral' || worker.files.length === 0) return {}
  const fetches = worker.files.map((file) => ({
    ...fetchContainer(file, place),
    name: `fetch-${file.sha256.slice(0, 16)}`,
  }))
  return { initContainers: fetches }
}

function volumes({ files }: WorkerOfPod, { config, modelCache }: PodPlace): NonNullable<PodFields['volumes']> {
  return [
    { name: 'scratch', emptyDir: { sizeLimit: config.scratchSize } },
    ...files.map(({ sha256 }) =>
      modelCache.kind === 'ephemeral'
        ? { name: modelName(sha256), emptyDir: { sizeLimit: modelCache.size } }
        : { name: modelName(sha256), persistentVolumeClaim: { claimName: modelName(sha256) } },
    ),
  ]
}

/** Without the fields that are `undefined`, which would be written as null. */
function present<T extends object>(value: T): { [K in keyof T]: NonNullable<T[K]> } {
  const entries = Object.entries(value).filter(([, field]) => field !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]: NonNullable<T[K]> }
}
