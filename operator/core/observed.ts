/**
 * What a reconcile looks at: one snapshot of one deployment, gathered by the shell, judged by the planner and the status writer.
 *
 * All instants are of the operator's own monotonic clock. A worker that has ended is not in the snapshot; what it left
 * behind is `crashes`.
 */
import type { DeploymentName, Revision, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { WorkerReport } from '#contracts/messages.ts'
import type { ModelRecord, WorkerRecord } from '#contracts/records.ts'
import {
  type ModelDeploymentSpec,
  type ModelDeploymentStatus,
  type ModelFile,
  scaleOf,
} from '#contracts/resources/modelDeployment.ts'
import type { RevisionHistory } from './revision.ts'

/** What should be, from the resource. */
export interface Desired {
  readonly generation: number
  readonly revision: Revision
  readonly spec: ModelDeploymentSpec
  /** Names that this deployment may use; the conflicts are those that another one holds. */
  readonly servedNames: readonly string[]
  readonly conflicts: readonly NameConflict[]
  /** Seconds since the epoch. */
  readonly created: number
  /** What else a worker is made of (the container image on a cluster): part of the revision, kept with it. */
  readonly image?: string
}

/** What clients can ask for by name. */
export interface NameOwner {
  readonly kind: 'deployment' | 'route'
  readonly name: string
}
export interface NameConflict {
  readonly name: string
  readonly owner: NameOwner
}

/** One live worker. */
export interface ObservedWorker {
  readonly worker: WorkerId
  readonly revision: Revision
  readonly startedAt: number
  /** Since when its process runs; null: not yet (its image is fetched, no node has room). Absent: since `startedAt`. */
  readonly runningSince?: number | null
  /** Why its process does not run yet, where that may need somebody; for a person. */
  readonly waitsFor?: string | null
  /** When we asked it to drain; null: we did not. */
  readonly drainAskedAt: number | null
  readonly report: WorkerReport | null
  /** When the last report came; null: none yet. */
  readonly heardAt: number | null
  /** Since when it has been ready without a break; null: it is not. */
  readonly readySince: number | null
  readonly registration: WorkerRecord | null
}

export type ModelState =
  | { readonly kind: 'not-needed' }
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'fetching'
      readonly activity: string
      readonly bytes: number
      readonly bytesTotal: number | null
      readonly bytesPerSecond: number
    }
  | { readonly kind: 'ready'; readonly path: string }
  /** `retryAt` null: nothing helps but a change. */
  | { readonly kind: 'failed'; readonly message: string; readonly retryAt: number | null }

/** Workers of one revision that ended by themselves, without one being stable in between. */
export interface Crashes {
  readonly revision: Revision
  readonly inARow: number
  readonly retryAt: number
  /** How the last one ended, and its last words. */
  readonly message: string
  /** The same of other revisions, newest first: two that crash in turns must not clear each other's row. */
  readonly others?: readonly Crashes[]
}

/** What routers and workers say about load, folded (`demand.ts`). */
export interface Demand {
  /** `partial`: a router has fallen silent lately, what it has is not in here. `stale`: no router is heard at all. */
  readonly freshness: 'fresh' | 'partial' | 'stale'
  /** Requests in the routers' queues, held ones included. */
  readonly waiting: number
  /** Of those: without any worker that could take them. */
  readonly held: number
  readonly running: number
  /** Choices that workers compute. */
  readonly slotsBusy: number
  /** The last minutes, oldest first, at most `limits.operator.demandSamplesMax`. */
  readonly samples: readonly DemandSample[]
}

export interface DemandSample {
  /** When it began, and how many requests waited then. */
  readonly at: number
  readonly waiting: number
  /** Requests that ended and count for goodput, and those of them within their SLO. */
  readonly offered: number
  readonly met: number
  /** How long requests waited in routers: `algorithms/waitHistogram.ts`. */
  readonly waits: readonly number[]
}

export interface Observed {
  readonly name: DeploymentName
  /** null: deleted; what runs is to be drained. */
  readonly desired: Desired | null
  /** Workers wanted now: from the spec, or from the autoscaler between its bounds. */
  readonly replicas: number
  readonly scaling: ScaleView | null
  readonly workers: readonly ObservedWorker[]
  /** By SHA-256: the files of what is asked for and of what could be gone back to. One that is not in here is absent. */
  readonly models: ReadonlyMap<string, ModelState>
  readonly crashes: Crashes | null
  /** Since when NATS has been connected without a break; null: it is not. Silence counts only while it is. */
  readonly busConnectedSince: number | null
  readonly published: ModelRecord | null
  readonly status: ModelDeploymentStatus | null
  readonly history: RevisionHistory
  /** Why the newest edit of the resources was not taken; empty when it was. */
  readonly resourceProblems: readonly string[]
  readonly demand: Demand
  /** Requests per second within their SLO, over all routers; null: none has said anything. */
  readonly sloGoodput: number | null
  /** Where clients reach the router. */
  readonly url: string
  readonly drainGraceMs: number
  /** The wall clock, which only people read. */
  readonly nowIso: string
}

/** What the autoscaler last said (`scale.ts`). */
export interface ScaleView {
  readonly recommended: number
  readonly reason: string
  readonly holds: boolean
  readonly message: string
}

export type WorkerState = 'starting' | 'ready' | 'unresponsive' | 'draining'

/** How a worker stands, from what it last said and how long ago. */
export function stateOf(worker: ObservedWorker, busConnectedSince: number | null, now: number): WorkerState {
  const said = worker.report?.state
  if (worker.drainAskedAt !== null) return 'draining'
  if (busConnectedSince !== null && isSilent(worker, busConnectedSince, now)) return 'unresponsive'
  // Somebody else asked it to end.
  if (said === 'draining' || said === 'stopped') return 'draining'
  if (said !== undefined) return said === 'ready' ? 'ready' : 'starting'
  // Not heard yet by this life of the operator. It registers when it can serve and takes that back first of all when it drains.
  return worker.registration === null ? 'starting' : 'ready'
}

function isSilent(worker: ObservedWorker, busConnectedSince: number, now: number): boolean {
  const runningSince = worker.runningSince === undefined ? worker.startedAt : worker.runningSince
  const heardSince = worker.heardAt ?? runningSince
  // What does not run yet cannot speak; how long that may last is the rollout's to say.
  if (heardSince === null) return false
  const silenceMsMax = worker.heardAt === null ? limits.operator.startTimeoutMs : limits.operator.silenceMs
  return now - Math.max(heardSince, busConnectedSince) >= silenceMsMax
}

/** The model file that workers of this spec load; null for the simulated engine, which loads nothing. */
export function modelFileOf(spec: ModelDeploymentSpec): ModelFile | null {
  return spec.engine.kind === 'simulated' ? null : (spec.target ?? null)
}

export function draftFileOf(spec: ModelDeploymentSpec): ModelFile | null {
  return spec.engine.kind === 'simulated' ? null : (spec.draft ?? null)
}

/** The tri-gram table that workers of this spec propose from. */
export function tableFileOf(spec: ModelDeploymentSpec): ModelFile | null {
  return spec.engine.kind === 'simulated' ? null : (spec.speculation.table ?? null)
}

/** What workers of this spec know of their draft beforehand. */
export function acceptanceFileOf(spec: ModelDeploymentSpec): ModelFile | null {
  return spec.engine.kind === 'simulated' ? null : (spec.speculation.acceptance ?? null)
}

/** By the experts' names, in the order of the resource. */
export function adapterFilesOf(spec: ModelDeploymentSpec): { name: string; file: ModelFile | null }[] {
  const isSimulated = spec.engine.kind === 'simulated'
  return spec.experts.map(({ name, adapter }) => ({ name, file: isSimulated ? null : adapter }))
}

/** The pre-gate: the simulated engine has a tokenizer too, so it has one there as well. */
export const gateFileOf = (spec: ModelDeploymentSpec): ModelFile | null => spec.gate?.file ?? null

/** Each content once: two experts may name the same one. */
export function filesOf(spec: ModelDeploymentSpec): ModelFile[] {
  const files = Object.values(namedFilesOf(spec)).filter((file) => file !== null)
  return [...new Map(files.map((file) => [file.sha256, file])).values()]
}

/** By the words of conditions. */
export function namedFilesOf(spec: ModelDeploymentSpec): Readonly<Record<string, ModelFile | null>> {
  return {
    target: modelFileOf(spec),
    draft: draftFileOf(spec),
    table: tableFileOf(spec),
    acceptance: acceptanceFileOf(spec),
    ...Object.fromEntries(adapterFilesOf(spec).map(({ name, file }) => [`expert ${name}`, file])),
    gate: gateFileOf(spec),
  }
}

export function modelStateOf(models: ReadonlyMap<string, ModelState>, file: ModelFile | null): ModelState {
  return file === null ? { kind: 'not-needed' } : (models.get(file.sha256) ?? { kind: 'absent' })
}

/** A pair's files are one unit: workers start when all of it is there. The least ready file speaks for the whole. */
export function cacheStateOf(observed: Observed, spec: ModelDeploymentSpec): ModelState {
  const states = filesOf(spec).map((file) => modelStateOf(observed.models, file))
  const least = (['failed', 'absent', 'fetching', 'ready'] as const).map((kind) =>
    states.find((state) => state.kind === kind),
  )
  return least.find((state) => state !== undefined) ?? { kind: 'not-needed' }
}

export const isCached = (model: ModelState) => model.kind === 'ready' || model.kind === 'not-needed'

/** Workers that a spec asks for. Between the bounds of `scaling` the autoscaler decides; without its word, enough to serve. */
export function replicasWanted(spec: ModelDeploymentSpec): number {
  const scale = scaleOf(spec)
  return scale.kind === 'fixed' ? scale.replicas : Math.max(1, scale.scaling.minReplicas)
}

/** The autoscaler may take all workers away, and gives one back when a request comes. */
export function scalesFromZero(spec: ModelDeploymentSpec): boolean {
  const scale = scaleOf(spec)
  return scale.kind === 'scaled' && scale.scaling.minReplicas === 0
}
