/**
 * What the operator is told by whoever starts it, as JSON in the environment variable `PACELINE_OPERATOR`: the chart for a
 * cluster, `paceline up` on one machine. Secrets come in their own variables, never in here.
 */
import * as z from 'zod'
import { limits } from './limits.ts'

const dnsLabel = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'a DNS label: lower-case letters, digits and "-"')
const objectName = z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'a Kubernetes object name')
const SecretKey = z.strictObject({ name: objectName, key: z.string().min(1) })

/** Workers are child processes, resources are files. */
export const LocalPlatformConfig = z.strictObject({
  kind: z.literal('local'),
  /** A YAML or JSON file, or a folder of them: ModelDeployments and API key Secrets. Watched while running. */
  resources: z.string().min(1),
  /** Logs of the workers. */
  stateDir: z.string().min(1),
  /** Model files, cost curves, reproducibility proofs: safe to delete, dear to fetch again. */
  cacheDir: z.string().min(1),
  /** Program and file that a worker is started with. Default: this Node and this checkout's worker. */
  node: z.string().min(1).optional(),
  workerMain: z.string().min(1).optional(),
  /** Never fetch a model: only what the cache (or a `file://` source) holds. */
  offline: z.boolean().default(false),
})
export type LocalPlatformConfig = z.infer<typeof LocalPlatformConfig>

export const LeaseConfig = z
  .strictObject({
    name: objectName.default('paceline-operator'),
    /** Who holds it; default: the host name (in a pod: the pod's) and a random part. */
    identity: z.string().min(1).max(253).optional(),
    /** A leader that has not renewed for this long may be replaced, and has itself stopped writing a while before. */
    durationMs: z.int().min(1_000).max(600_000).default(15_000),
    /** How often the leader renews … */
    renewMs: z.int().min(100).default(5_000),
    /** … and how often it, or who waits for the lease, tries (again). */
    retryMs: z.int().min(100).default(2_000),
    /** The leader's last write is sent this long before its lease could be taken. */
    marginMs: z.int().min(50).default(1_000),
  })
  .refine(({ durationMs, renewMs, retryMs, marginMs }) => renewMs + retryMs + marginMs < durationMs, {
    path: ['durationMs'],
    message: 'must be longer than renewMs + retryMs + marginMs, or a slow answer costs the lease',
  })
export type LeaseConfig = z.infer<typeof LeaseConfig>

const Quantities = z.record(z.string(), z.string())

export const WorkerPodConfig = z.strictObject({
  image: z.string().min(1),
  /** Taken by pairs that ask for an NVIDIA GPU or the `cuda` backend; default: `image`. */
  cudaImage: z.string().min(1).optional(),
  imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
  imagePullSecrets: z.array(objectName).max(16).default([]),
  /** Has no rights and no token is mounted; it only carries pull secrets and policies. */
  serviceAccountName: objectName.default('default'),
  runAsUser: z.int().min(1).default(65_532),
  /** What a worker asks for unless its pair says so itself. */
  resources: z
    .strictObject({ requests: Quantities.default({}), limits: Quantities.default({}) })
    .prefault({ requests: { cpu: '500m', memory: '1Gi' }, limits: {} }),
  /** Where pods reach NATS; default: the operator's own address. */
  natsUrl: z.string().min(1).optional(),
  natsPasswordSecret: SecretKey,
  httpPort: z.int().min(1_024).max(65_535).default(9_400),
  /** Writable memory of the container: cost curves and temporary files. */
  scratchSize: z.string().default('256Mi'),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
})
export type WorkerPodConfig = z.infer<typeof WorkerPodConfig>

export const ModelCacheConfig = z.strictObject({
  /** `pvc`: fetched once into a volume that all workers of the content share; `ephemeral`: by each worker pod for itself. */
  kind: z.enum(['pvc', 'ephemeral']).default('pvc'),
  /** Absent: the cluster's default class; empty: only volumes that exist already. */
  storageClassName: z.string().optional(),
  accessMode: z.enum(['ReadWriteOnce', 'ReadWriteMany', 'ReadWriteOncePod']).default('ReadWriteOnce'),
  /** Of each volume; must hold the largest model and a partial download of it. */
  size: z.string().default('20Gi'),
  /** Address of a Hugging Face mirror. */
  huggingFaceEndpoint: z.string().optional(),
  huggingFaceTokenSecret: SecretKey.optional(),
  /** For `s3://` sources: region, another address than Amazon's, and a Secret with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. */
  s3: z
    .strictObject({
      region: z.string().min(1).optional(),
      endpoint: z.string().min(1).optional(),
      credentialsSecret: objectName.optional(),
    })
    .prefault({}),
  /** Hosts that plain `http://` sources may name (a mirror inside the cluster); content is pinned by SHA-256 all the same. */
  plainHttpHosts: z.array(z.string().min(1)).max(16).default([]),
  /** Program of the worker image that fetches. */
  command: z.array(z.string().min(1)).min(1).default(['node', 'operator/fetch/main.ts']),
  resources: WorkerPodConfig.shape.resources
    .unwrap()
    .prefault({ requests: { cpu: '100m', memory: '128Mi' }, limits: {} }),
})
export type ModelCacheConfig = z.infer<typeof ModelCacheConfig>

/** Workers are pods, resources are in the API server of the cluster. */
export const KubernetesPlatformConfig = z.strictObject({
  kind: z.literal('kubernetes'),
  /** The one namespace this operator works in. */
  namespace: dnsLabel,
  /** File; default: the service account of the pod, or what `KUBECONFIG` names. */
  kubeconfig: z.string().min(1).optional(),
  lease: LeaseConfig.prefault({}),
  /** What the operator asks of the API server at most; lease renewals always go through. */
  requests: z
    .strictObject({ perSecondMax: z.number().positive().default(250), burstMax: z.int().min(1).default(500) })
    .prefault({}),
  worker: WorkerPodConfig,
  modelCache: ModelCacheConfig.prefault({}),
})
export type KubernetesPlatformConfig = z.infer<typeof KubernetesPlatformConfig>

export const OperatorConfig = z.strictObject({
  platform: z.discriminatedUnion('kind', [LocalPlatformConfig, KubernetesPlatformConfig]),
  nats: z.strictObject({ url: z.string().min(1), user: z.string().min(1) }),
  /** The NATS user that workers log in as; the local platform's get their password from `PACELINE_WORKER_NATS_PASSWORD`. */
  workerNatsUser: z.string().min(1).default('worker'),
  http: z
    .strictObject({ host: z.string().default('127.0.0.1'), port: z.int().min(0).max(65_535).default(0) })
    .prefault({}),
  /** Where clients reach the router; published as `status.url`. */
  routerUrl: z.string(),
  /** A worker that was asked to drain is killed after this. */
  drainGraceMs: z
    .int()
    .min(0)
    .default(limits.drain.graceMs + limits.operator.killMarginMs),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
})
export type OperatorConfig = z.infer<typeof OperatorConfig>
export const operatorConfigVariable = 'PACELINE_OPERATOR'
export const workerNatsPasswordVariable = 'PACELINE_WORKER_NATS_PASSWORD'

/**
 * Node's own flags of an operator in a cluster: its work is short-lived objects in small bursts, and young memory of V8's usual size
 * would only be held, not used.
 */
export const operatorNodeFlags = ['--max-semi-space-size=4'] as const
