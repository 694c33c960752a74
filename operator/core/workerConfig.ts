/**
 * What a worker is told (`WorkerConfig`): the same of a pair's spec on every platform, and each platform's own place. Pure.
 */
import type { DeploymentName, Revision, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import { modelFileOf } from './observed.ts'

export interface WorkerIdentity {
  readonly worker: WorkerId
  readonly deployment: DeploymentName
  readonly revision: Revision
  readonly spec: ModelDeploymentSpec
  readonly modelPath: string | null
  readonly draftPath: string | null
  readonly tablePath: string | null
}

/** What the platform knows and the pair does not. */
export type WorkerPlace = Pick<
  WorkerConfig,
  'nats' | 'metricsPort' | 'metricsHost' | 'cacheDir' | 'logLevel' | 'drainGraceMs'
>

export function workerConfigOf(identity: WorkerIdentity, place: WorkerPlace): WorkerConfig {
  const { worker, deployment, revision, spec, modelPath, draftPath, tablePath } = identity
  return {
    worker,
    deployment,
    revision,
    modelPath,
    modelSha256: modelFileOf(spec)?.sha256 ?? null,
    draftPath,
    tablePath,
    engine: spec.engine,
    kvCacheType: spec.compression.kvCache.type,
    speculation: spec.speculation,
    slo: spec.slo,
    ...place,
  }
}

/** What a worker may take to drain, so that it ends by itself before it is killed. */
export const workerDrainMs = (drainGraceMs: number): number => Math.max(0, drainGraceMs - limits.operator.killMarginMs)
