/**
 * What runs now, as far as the planner must know it, from a running instance or a cluster; and the snapshot that a planner would
 * see right after the change. Pure.
 */
import { DeploymentName, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { DeploymentReport, WorkerStatus } from '#contracts/operatorStatus.ts'
import { type ModelDeploymentSpec, scaleOf } from '#contracts/resources/modelDeployment.ts'
import {
  type Desired,
  filesOf,
  type ModelState,
  type Observed,
  type ObservedWorker,
} from '../../operator/core/observed.ts'
import { readied } from '../../operator/core/preview.ts'
import { parseHistory, type RevisionHistory, revisionOf } from '../../operator/core/revision.ts'

export interface PresentWorker {
  readonly worker: string
  readonly revision: WorkerStatus['revision']
  readonly state: WorkerStatus['state']
  readonly ageMs: number
}

export interface Present {
  readonly name: string
  /** As it is asked for now; null: it is being deleted, or cannot be read. */
  readonly spec: ModelDeploymentSpec | null
  readonly history: RevisionHistory
  readonly workers: readonly PresentWorker[]
  /** The files of the newest revision are verified and at hand. */
  readonly isCached: boolean
  /** What the autoscaler has decided; null: nothing, or there is none. */
  readonly replicas: number | null
  readonly drainGraceMs: number
}

export function presentOf(report: DeploymentReport): Present {
  return {
    name: report.name,
    spec: report.spec ?? null,
    history: parseHistory(report.history ?? []),
    workers: report.workers,
    isCached: report.model.kind === 'ready' || report.model.kind === 'not-needed',
    replicas: report.replicasWanted,
    drainGraceMs: limits.drain.graceMs + limits.operator.killMarginMs,
  }
}

export interface Wanted {
  readonly name: string
  readonly spec: ModelDeploymentSpec
}

/** `wanted` null: it is removed. The present may be null: it is new. */
export function snapshotOf(present: Present | null, wanted: Wanted | null, now: number): Observed {
  const name = DeploymentName.parse(wanted?.name ?? present?.name)
  return {
    name,
    desired: wanted === null ? null : desiredOf(present, wanted),
    replicas: wanted === null ? 0 : replicasOf(present, wanted.spec),
    scaling: null,
    workers: (present?.workers ?? []).map((worker) => observedWorker(worker, name, now)),
    models: modelsOf(present),
    crashes: null,
    busConnectedSince: now,
    published: null,
    status: null,
    history: present?.history ?? [],
    resourceProblems: [],
    demand: { freshness: 'stale', waiting: 0, held: 0, running: 0, slotsBusy: 0, samples: [] },
    sloGoodput: null,
    url: '',
    drainGraceMs: present?.drainGraceMs ?? limits.drain.graceMs,
    nowIso: '',
  }
}

function desiredOf(present: Present | null, { name, spec }: Wanted): Desired {
  // The image belongs to the revision; a change of the resource leaves it as it is.
  const image = present?.history[0]?.image
  return {
    generation: 0,
    revision: revisionOf(spec, image),
    spec,
    servedNames: [name, ...spec.servedNames],
    conflicts: [],
    created: 0,
    ...(image === undefined ? {} : { image }),
  }
}

function replicasOf(present: Present | null, spec: ModelDeploymentSpec): number {
  const scale = scaleOf(spec)
  if (scale.kind === 'fixed') return scale.replicas
  const { minReplicas, maxReplicas } = scale.scaling
  return Math.min(Math.max(present?.replicas ?? Math.max(1, minReplicas), minReplicas), maxReplicas)
}

function modelsOf(present: Present | null): ReadonlyMap<string, ModelState> {
  const spec = present?.spec ?? undefined
  if (spec === undefined || present?.isCached !== true) return new Map()
  return new Map(filesOf(spec).map(({ sha256 }) => [sha256, { kind: 'ready', path: '' }]))
}

function observedWorker(
  { worker, revision, state, ageMs }: PresentWorker,
  name: DeploymentName,
  now: number,
): ObservedWorker {
  const plain: ObservedWorker = {
    worker: WorkerId.parse(worker),
    revision,
    startedAt: now - ageMs,
    drainAskedAt: state === 'draining' ? now : null,
    report: null,
    heardAt: null,
    readySince: null,
    registration: null,
  }
  return state === 'ready' ? readied(plain, name, now) : plain
}
