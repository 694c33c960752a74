/**
 * What `charts/paceline/values.yaml` may hold: `values.schema.json` is generated from this, so Helm refuses a misspelt key before
 * anything is rendered. Defaults and explanations stand in values.yaml; a test compares the keys of both.
 */
import * as z from 'zod'
import { LeaseConfig, ModelCacheConfig, WorkerPodConfig } from '#contracts/operatorConfig.ts'
import { RouterLimits, RouterTracing } from '#contracts/routerConfig.ts'

const text = z.string()
const flag = z.boolean()
const count = z.int().min(1)
const seconds = z.int().min(0).max(86_400)
const port = z.int().min(1).max(65_535)
/** Above what only root may open. */
const containerPort = z.int().min(1_024).max(65_535)
const share = z.number().min(0).max(1)
const texts = z.record(z.string(), z.string())
/** Taken as it is into a Kubernetes object; the API server knows its schema. */
const object = z.record(z.string(), z.unknown())
const objects = z.array(object)
/** A number of cores may be written as a number; memory has a unit. */
const quantities = z.record(z.string(), z.union([z.string(), z.number()]))
const resources = z.strictObject({ requests: quantities, limits: quantities })
/** The operator passes these on, and takes text only. */
const textQuantities = z.strictObject({ requests: texts, limits: texts })
const quantity = z.string().regex(/^[0-9]+(\.[0-9]+)?([KMGTPE]i?|[mk])?$/)
const digest = z.union([z.literal(''), z.string().regex(/^sha256:[0-9a-f]{64}$/)])
const duration = z.string().regex(/^([0-9]+(ms|s|m|h))+$/)
const image = z.strictObject({ repository: z.string().min(1), digest })
const serviceAccount = z.strictObject({ annotations: texts })
const logLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error'])
const placement = { nodeSelector: texts, tolerations: objects, affinity: object, priorityClassName: text }
const podMetadata = { podAnnotations: texts, podLabels: texts }
const amount = z.union([z.int().min(0), z.string().regex(/^[0-9]+%$/)])

/** From 300Mi on: more than a router's traffic log ever takes (`limits.traffic.allBytesMax`), or the pod would be evicted for it. */
const trafficRoom = z.string().regex(/^(([3-9][0-9]{2}|[1-9][0-9]{3,})Mi|[1-9][0-9]*Gi)$/)

/** Bounds are those of the part's own configuration: what passes here does not stop the part at its start. */
const { durationMs, renewMs, retryMs, marginMs } = LeaseConfig.shape
const { sampleRatio, serviceName } = RouterTracing.shape
const { bodyBytesMax, connectionsMax, idleTimeoutMs, deadlineMs, slowReaderStallMs } = RouterLimits.shape

const operator = z.strictObject({
  image,
  replicas: count,
  logLevel,
  port: containerPort,
  lease: z.strictObject({
    durationMs: durationMs.unwrap(),
    renewMs: renewMs.unwrap(),
    retryMs: retryMs.unwrap(),
    marginMs: marginMs.unwrap(),
  }),
  requests: z.strictObject({ perSecondMax: z.number().positive(), burstMax: count }),
  letGoOfPairs: flag,
  podDisruptionBudget: z.strictObject({ enabled: flag }),
  resources,
  terminationGracePeriodSeconds: seconds,
  ...placement,
  ...podMetadata,
  serviceAccount,
})

const router = z.strictObject({
  image,
  replicas: count,
  logLevel,
  accessLog: flag,
  port: containerPort,
  publicUrl: z.union([z.literal(''), z.string().regex(/^https?:\/\//)]),
  tracing: z.strictObject({
    endpoint: z.union([z.literal(''), z.string().regex(/^https?:\/\/[^/?#\s]+\/?[^?#\s]*$/)]),
    sampleRatio: sampleRatio.unwrap(),
    serviceName: serviceName.unwrap(),
    headersSecret: text,
  }),
  limits: z.strictObject({
    bodyBytesMax: bodyBytesMax.unwrap(),
    connectionsMax: connectionsMax.unwrap(),
    idleTimeoutMs: idleTimeoutMs.unwrap(),
    deadlineMs: deadlineMs.unwrap(),
    slowReaderStallMs: slowReaderStallMs.unwrap(),
  }),
  trafficLog: z.strictObject({ enabled: flag, sizeLimit: trafficRoom }),
  drain: z.strictObject({ delaySeconds: seconds, graceSeconds: z.int().min(1).max(86_400) }),
  service: z.strictObject({ type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']), port, annotations: texts }),
  ingress: z.strictObject({ enabled: flag, className: text, annotations: texts, hosts: z.array(text), tls: objects }),
  autoscaling: z.strictObject({
    enabled: flag,
    minReplicas: count,
    maxReplicas: count,
    cpuPercent: z.int().min(1).max(1_000),
  }),
  podDisruptionBudget: z.strictObject({ enabled: flag, maxUnavailable: amount }),
  topologySpread: z.record(z.string(), count),
  resources,
  ...placement,
  ...podMetadata,
  serviceAccount,
})

const worker = z.strictObject({
  image,
  cudaImage: z.strictObject({ repository: text, digest }),
  resources: textQuantities,
  runAsUser: WorkerPodConfig.shape.runAsUser.unwrap(),
  scratchSize: quantity,
  port: WorkerPodConfig.shape.httpPort.unwrap(),
  drainGraceSeconds: z.int().min(1).max(86_400),
  ...podMetadata,
  serviceAccount,
})

const modelCache = z.strictObject({
  kind: ModelCacheConfig.shape.kind.unwrap(),
  storageClassName: text,
  accessMode: ModelCacheConfig.shape.accessMode.unwrap(),
  size: quantity,
  huggingFaceEndpoint: z.union([z.literal(''), z.string().regex(/^https?:\/\//)]),
  huggingFaceToken: z.strictObject({ secretName: text, key: z.string().min(1) }),
  s3: z.strictObject({ region: text, endpoint: text, credentialsSecret: text }),
  plainHttpHosts: z.array(z.string().min(1)).max(16),
  resources: textQuantities,
})

const nats = z.strictObject({
  external: z.strictObject({ url: z.union([z.literal(''), z.string().regex(/^(nats|tls):\/\/[^/@\s]+$/)]) }),
  auth: z.strictObject({ existingSecret: text }),
  tls: z.strictObject({ enabled: flag, existingSecret: text, validityDays: count }),
  image: z.strictObject({ repository: z.string().min(1), tag: text, digest }),
  jetstream: z.strictObject({
    persistence: z.strictObject({ enabled: flag, storageClassName: text, size: quantity }),
    fileStoreMax: z.string().regex(/^[0-9]+(KB|MB|GB|TB)$/),
    memoryStoreMax: z.string().regex(/^[0-9]+(KB|MB|GB|TB)$/),
  }),
  resources,
  ...placement,
  podAnnotations: texts,
})

const monitor = z.strictObject({ enabled: flag, labels: texts, interval: duration })
export const Thresholds = z.strictObject({
  errorRatioWarning: share,
  errorRatioCritical: share,
  goodputTarget: share,
  acceptanceMin: share,
})
export type Thresholds = z.infer<typeof Thresholds>

export const ChartValues = z.strictObject({
  /** Set by Helm itself where this chart is part of another. */
  global: object.optional(),
  nameOverride: text,
  fullnameOverride: text,
  commonLabels: texts,
  image: z.strictObject({
    registry: text,
    tag: text,
    pullPolicy: WorkerPodConfig.shape.imagePullPolicy.unwrap(),
    pullSecrets: z.array(z.string().min(1)).max(16),
  }),
  crds: z.strictObject({ install: flag, keep: flag }),
  operator,
  router,
  worker,
  modelCache,
  nats,
  networkPolicy: z.strictObject({
    enabled: flag,
    routerFrom: objects,
    metricsFrom: objects,
    modelSources: objects,
    apiServerPorts: z.array(port),
  }),
  monitoring: z.strictObject({
    serviceMonitor: monitor,
    podMonitor: monitor,
    prometheusRule: z.strictObject({ enabled: flag, labels: texts, runbookUrl: text, thresholds: Thresholds }),
    dashboards: z.strictObject({ enabled: flag, label: texts, folder: text }),
  }),
  tests: z.strictObject({ apiKey: z.strictObject({ secretName: text, key: z.string().min(1) }) }),
})
export type ChartValues = z.infer<typeof ChartValues>
