/**
 * What a worker is told (`WorkerConfig`): the same of a pair's spec on every platform, and each platform's own place. Pure.
 */
import type { DeploymentName, Revision, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import { draftFileOf, gateFileOf, modelFileOf } from './observed.ts'

/** Where a pair's verified files are for one worker; null: it has none. */
export interface PairPaths {
  readonly modelPath: string | null
  readonly draftPath: string | null
  readonly tablePath: string | null
  readonly acceptancePath: string | null
  readonly experts: WorkerConfig['experts']
  readonly gatePath: string | null
}

export interface WorkerIdentity extends PairPaths {
  readonly worker: WorkerId
  readonly deployment: DeploymentName
  readonly revision: Revision
  readonly spec: ModelDeploymentSpec
}

/** What the platform knows and the pair does not. */
export type WorkerPlace = Pick<
  WorkerConfig,
  'nats' | 'metricsPort' | 'metricsHost' | 'cacheDir' | 'logLevel' | 'drainGraceMs'
>

export function workerConfigOf(identity: WorkerIdentity, place: WorkerPlace): WorkerConfig {
  const { worker, deployment, revision, spec } = identity
  const { modelPath, draftPath, tablePath, acceptancePath, experts, gatePath } = identity
  return {
    worker,
    deployment,
    revision,
    modelPath,
    modelSha256: modelFileOf(spec)?.sha256 ?? null,
    draftPath,
    draftSha256: draftFileOf(spec)?.sha256 ?? null,
    tablePath,
    acceptancePath,
    experts,
    expertBytesMax: expertBytesMax(spec),
    gatePath,
    gateSha256: gateFileOf(spec)?.sha256 ?? null,
    engine: spec.engine,
    kvCacheType: spec.compression.kvCache.type,
    speculation: spec.speculation,
    slo: spec.slo,
    ...place,
  }
}

function expertBytesMax({ expertMemoryMiB }: ModelDeploymentSpec): number {
  return expertMemoryMiB === undefined ? limits.experts.residentBytesMax : expertMemoryMiB * 2 ** 20
}

/** What a worker may take to drain, so that it ends by itself before it is killed. */
export const workerDrainMs = (drainGraceMs: number): number => Math.max(0, drainGraceMs - limits.operator.killMarginMs)
