/**
 * The Job that fills a model's volume, and the container that fetches (also used inside a worker pod where there are no volumes).
 * Pure. The program is `operator/fetch` in the worker image: content-addressed files, verified, resumable.
 */
import type { ModelCacheConfig, WorkerPodConfig } from '#contracts/operatorConfig.ts'
import { type FetchOrder, fetchOrderVariable } from '#contracts/fetch.ts'
import type { ModelFile } from '#contracts/resources/modelDeployment.ts'
import type { Claim, Job, Pod } from './objects.ts'
import { folderOf } from './folders.ts'
import { annotations, fetchName, labels, modelName, type OwnerReference, ownLabels } from './names.ts'
import { confined, containerSecurity, literal, natsVariables, secretVariable } from './security.ts'

export interface FetchPlace {
  readonly config: WorkerPodConfig
  readonly modelCache: ModelCacheConfig
  readonly nats: { readonly url: string; readonly user: string; readonly authority: string | null }
  readonly logLevel: FetchOrder['logLevel']
}

type Container = NonNullable<Pod['spec']>['containers'][number]

export function modelLabels(sha256: string): Record<string, string> {
  return { ...ownLabels('model'), [labels.kind]: 'model', [labels.model]: sha256.slice(0, 16) }
}

export function modelClaim(sha256: string, owners: OwnerReference[], { modelCache }: FetchPlace): Claim {
  return {
    metadata: {
      name: modelName(sha256),
      labels: modelLabels(sha256),
      annotations: { [annotations.sha256]: sha256 },
      ownerReferences: owners,
    },
    spec: {
      accessModes: [modelCache.accessMode],
      ...(modelCache.storageClassName === undefined ? {} : { storageClassName: modelCache.storageClassName }),
      resources: { requests: { storage: modelCache.size } },
    },
  }
}

export interface FetchTry {
  readonly claimUid: string
  readonly attempt: number
}

export function fetchJob(file: ModelFile, owners: OwnerReference[], tried: FetchTry, place: FetchPlace): Job {
  const { config } = place
  const { sha256 } = file
  return {
    metadata: {
      name: fetchName(sha256),
      labels: modelLabels(sha256),
      annotations: {
        [annotations.sha256]: sha256,
        [annotations.claimUid]: tried.claimUid,
        [annotations.attempt]: String(tried.attempt),
      },
      ownerReferences: owners,
    },
    spec: {
      // The operator tries again with growing waits; inside one try the fetch itself resumes.
      backoffLimit: 0,
      template: {
        metadata: { labels: modelLabels(sha256) },
        spec: {
          restartPolicy: 'Never',
          ...confined(config),
          containers: [fetchContainer(file, place)],
          volumes: [
            { name: modelName(sha256), persistentVolumeClaim: { claimName: modelName(sha256) } },
            { name: 'scratch', emptyDir: { sizeLimit: config.scratchSize } },
          ],
        },
      },
    },
  }
}

export function fetchContainer(file: ModelFile, { config, modelCache, nats, logLevel }: FetchPlace): Container {
  const order: FetchOrder = {
    file,
    cacheDir: folderOf(file.sha256),
    plainHttpHosts: modelCache.plainHttpHosts,
    nats: { url: nats.url, user: nats.user },
    logLevel,
  }
  return {
    name: 'fetch',
    image: config.image,
    imagePullPolicy: config.imagePullPolicy,
    command: [...modelCache.command],
    env: [
      { name: fetchOrderVariable, value: literal(JSON.stringify(order)) },
      ...natsVariables(config, nats.authority),
      ...sourceVariables(modelCache),
    ],
    resources: {
      requests: { ...modelCache.resources.requests },
      limits: { ...modelCache.resources.limits },
    },
    securityContext: containerSecurity,
    volumeMounts: [
      { name: modelName(file.sha256), mountPath: folderOf(file.sha256) },
      { name: 'scratch', mountPath: '/tmp', subPath: 'tmp' },
    ],
    terminationMessagePolicy: 'FallbackToLogsOnError',
  }
}

/** What sources need beyond their address. */
function sourceVariables({ huggingFaceEndpoint, huggingFaceTokenSecret, s3 }: ModelCacheConfig) {
  const plain = { HF_ENDPOINT: huggingFaceEndpoint, AWS_REGION: s3.region, AWS_ENDPOINT_URL: s3.endpoint }
  const { credentialsSecret: name } = s3
  return [
    ...Object.entries(plain).flatMap(([variable, value]) => (value === undefined ? [] : [{ name: variable, value }])),
    ...(huggingFaceTokenSecret === undefined ? [] : [secretVariable('HF_TOKEN', huggingFaceTokenSecret)]),
    ...(name === undefined
      ? []
      : ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'].map((key) => secretVariable(key, { name, key }))),
  ]
}
