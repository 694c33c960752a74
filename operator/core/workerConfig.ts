/**
 * What a worker is told (`WorkerConfig`): the same of a pair's spec on every platform, and each platform's own place. Pure.
 */
import type { DeploymentName, Revision, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import { draftFileOf, modelFileOf } from './observed.ts'

/** Where a pair's verified files are for one worker; null: it has none. */
export interface PairPaths {
  readonly modelPath: string | null
  readonly draftPath: string | null
  readonly tablePath: string | null
  readonly acceptancePath: string | null
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
  const { worker, deployment, revision, spec, modelPath, draftPath, tablePath, acceptancePath } = identity
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
    // `spec.experts` has no effect yet: nobody fetches adapters.
    experts: [],
    expertBytesMax: limits.experts.residentBytesMax,
    engine: spec.engine,
    kvCacheType: spec.compression.kvCache.type,
    speculation: spec.speculation,
    slo: spec.slo,
    ...place,
  }
}

/** What a worker may take to drain, so that it ends by itself before it is killed. */
export const workerDrainMs = (drainGraceMs: number): number => Math.max(0, drainGraceMs - limits.operator.killMarginMs)
