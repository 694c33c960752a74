/**
 * Model files of a cluster: one volume and one fetch Job per content, shared by the pairs that name it.
 *
 * Decides nothing about workers: says how a content stands (`stateOf`), begins a fetch when asked, and keeps the volumes owned by
 * exactly the pairs that use them, so that the garbage collector removes one with its last pair. A content is ready when the
 * Job that filled this very volume is complete.
 */
import { Failure } from '#contracts/failure.ts'
import type { DeploymentName } from '#contracts/ids.ts'
import { FetchReport } from '#contracts/fetch.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelFile } from '#contracts/resources/modelDeployment.ts'
import { subjects } from '#contracts/subjects.ts'
import type { Bus } from '#runtime/bus.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { decode } from '#runtime/messages.ts'
import { backOffMs } from '../core/backOff.ts'
import type { ModelState } from '../core/observed.ts'
import type { ModelStore } from '../models/store.ts'
import type { KubernetesClient } from './client.ts'
import { covers } from './core/covers.ts'
import { type FetchPlace, fetchJob, modelClaim } from './core/fetchJob.ts'
import { jobStateOf } from './core/jobState.ts'
import { filePathOf } from './core/folders.ts'
import { annotations, fetchName, modelName, type OwnerReference } from './core/names.ts'
import { type Claim, isDeleting, type Job, nameOf, type Pod, resources, uidOf } from './core/objects.ts'
import type { Reflector } from './reflector.ts'

export interface ModelsOptions {
  readonly client: KubernetesClient
  readonly place: FetchPlace
  readonly claims: Reflector<Claim>
  readonly jobs: Reflector<Job>
  /** Pods of fetches, for why one waits or how it ended. */
  readonly podsOfJob: (job: string) => readonly Pod[]
  /** The pairs that use a content now. */
  readonly ownersOf: (sha256: string) => OwnerReference[]
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly onFetched: (result: 'fetched' | 'failed') => void
}

/** A report is believed this long. */
const reportMsMax = 10_000

export class ClusterModels implements ModelStore {
  readonly #options: ModelsOptions
  readonly #reports = new Map<string, { report: FetchReport; at: number }>()
  /** When a Job's failure was first seen, and when it is tried again; by uid. */
  readonly #failed = new Map<string, number>()
  readonly #attempts = new Map<string, number>()
  readonly #refused = new Map<string, ModelState>()
  /** Under way: pairs that want one content begin it together. */
  readonly #begun = new Map<string, Promise<void>>()

  constructor(options: ModelsOptions) {
    this.#options = options
  }

  attach(bus: Bus): void {
    bus.subscribe(subjects.allFetchReports, (payload) => {
      try {
        const report = decode(FetchReport, payload)
        this.#reports.set(report.sha256, { report, at: this.#options.clock.now() })
      } catch (error) {
        this.#options.log.warn({ error }, 'a fetch report is not understood and ignored')
      }
    })
  }

  stateOf(file: ModelFile): ModelState {
    const { place, claims, jobs } = this.#options
    if (place.modelCache.kind === 'ephemeral') return { kind: 'ready', path: filePathOf(file.sha256) }
    const claim = claims.get(modelName(file.sha256))
    const job = jobs.get(fetchName(file.sha256))
    if (claim === undefined || isDeleting(claim) || job === undefined || isDeleting(job))
      return this.#refused.get(file.sha256) ?? { kind: 'absent' }
    if (job.metadata?.annotations?.[annotations.claimUid] !== uidOf(claim)) return { kind: 'absent' }
    const state = jobStateOf(job, this.#options.podsOfJob(nameOf(job)))
    switch (state.kind) {
      case 'complete':
        return { kind: 'ready', path: filePathOf(file.sha256) }
      case 'failed':
        // Other sources are another try.
        return covers(job.metadata?.annotations, sourcesOf(file))
          ? this.#failure(job, state.message, state.final)
          : { kind: 'absent' }
      case 'running':
        return this.#progress(file.sha256, state.waitsFor ?? claimTrouble(claim))
      default:
        return state satisfies never
    }
  }

  async fetch(file: ModelFile, _deployment?: DeploymentName): Promise<void> {
    if (this.#options.place.modelCache.kind === 'ephemeral') return
    const { sha256 } = file
    const begun = this.#begun.get(sha256) ?? this.#begin(file).finally(() => this.#begun.delete(sha256))
    this.#begun.set(sha256, begun)
    try {
      await begun
      this.#refused.delete(sha256)
    } catch (error) {
      if (error instanceof Failure && error.code === 'cluster-refused') this.#refuse(sha256, error.message)
      throw error
    }
  }

  /** A quota, a policy: seen in the condition, and tried again later. */
  #refuse(sha256: string, message: string): void {
    const retryAt = this.#options.clock.now() + limits.operator.fetchBackOffMs
    this.#refused.set(sha256, { kind: 'failed', message, retryAt })
  }

  async #begin(file: ModelFile): Promise<void> {
    const { client, jobs, ownersOf } = this.#options
    const { sha256 } = file
    const claim = await this.#ensureClaim(sha256, ownersOf(sha256))
    if (claim === null) return
    const job = jobs.get(fetchName(sha256))
    const state = this.stateOf(file)
    if (job !== undefined && state.kind !== 'absent' && state.kind !== 'failed') return
    if (job !== undefined) {
      this.#noteAttempt(sha256, job)
      if (isDeleting(job)) return
      // Its name is free once it has gone; its end is an event, and then this is called again.
      const removed = await client.remove(resources.jobs, nameOf(job), { uid: uidOf(job) })
      if (removed.kind === 'removing' && removed.object !== null) jobs.remember(removed.object)
      return
    }
    await this.#start(file, claim)
  }

  /** The volume as far as it can be said from outside: its path in a worker's pod. */
  confirm(file: ModelFile): Promise<string | null> {
    const state = this.stateOf(file)
    return Promise.resolve(state.kind === 'ready' ? state.path : null)
  }

  onChange(): void {
    // The platform tells changes by pair.
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** Owners as they should be: a volume that nobody uses any more goes, with its Job. */
  async upkeep(sha256s: Iterable<string>): Promise<void> {
    for (const sha256 of new Set(sha256s)) {
      const owners = this.#options.ownersOf(sha256)
      if (owners.length === 0) await this.#remove(sha256)
      else await this.#own(sha256, owners)
    }
  }

  async #own(sha256: string, owners: OwnerReference[]): Promise<void> {
    const { client, claims, jobs } = this.#options
    const claim = claims.get(modelName(sha256))
    if (claim === undefined || isDeleting(claim) || isOwnedBy(claim, owners)) return
    await this.#ensureClaim(sha256, owners)
    const job = jobs.get(fetchName(sha256))
    if (job === undefined || isDeleting(job)) return
    const patch = { metadata: { uid: uidOf(job), ownerReferences: owners } }
    const result = await client.merge(resources.jobs, nameOf(job), patch)
    if (result.kind === 'changed') jobs.remember(result.object)
  }

  async #remove(sha256: string): Promise<void> {
    const { client, claims, jobs } = this.#options
    const job = jobs.get(fetchName(sha256))
    const claim = claims.get(modelName(sha256))
    if (job !== undefined && !isDeleting(job)) await client.remove(resources.jobs, nameOf(job), { uid: uidOf(job) })
    if (claim !== undefined && !isDeleting(claim))
      await client.remove(resources.claims, nameOf(claim), { uid: uidOf(claim) })
    this.#attempts.delete(sha256)
    this.#refused.delete(sha256)
    this.#reports.delete(sha256)
  }

  /** Null: the one of before is still going. */
  async #ensureClaim(sha256: string, owners: OwnerReference[]): Promise<Claim | null> {
    const { client, claims, place } = this.#options
    const have = claims.get(modelName(sha256))
    if (have !== undefined && isDeleting(have)) return null
    if (have !== undefined && isOwnedBy(have, owners)) return have
    const wanted = modelClaim(sha256, owners, place)
    // What a volume asks for cannot be changed once it is there; only its owners are ours to change.
    const next = have === undefined ? wanted : { ...wanted, spec: have.spec ?? {} }
    if (have === undefined) {
      const created = await client.create(resources.claims, next)
      if (created.kind === 'created') claims.remember(created.object)
      return created.kind === 'created' ? created.object : null
    }
    const patch = { metadata: { uid: uidOf(have), ownerReferences: owners } }
    const result = await client.merge(resources.claims, nameOf(have), patch)
    if (result.kind === 'changed') claims.remember(result.object)
    return result.kind === 'changed' ? result.object : null
  }

  async #start(file: ModelFile, claim: Claim): Promise<void> {
    const { client, jobs, ownersOf, place } = this.#options
    const { sha256 } = file
    const tried = { claimUid: uidOf(claim), attempt: (this.#attempts.get(sha256) ?? 0) + 1 }
    const job = fetchJob(file, ownersOf(sha256), tried, place)
    const metadata = { ...job.metadata, annotations: { ...job.metadata?.annotations, ...sourcesOf(file) } }
    const created = await client.create(resources.jobs, { ...job, metadata })
    if (created.kind === 'created') jobs.remember(created.object)
  }

  #noteAttempt(sha256: string, job: Job): void {
    const tried = Number(job.metadata?.annotations?.[annotations.attempt] ?? 1)
    const known = this.#attempts.get(sha256) ?? 0
    this.#attempts.set(sha256, Math.max(known, Number.isInteger(tried) ? tried : 1))
  }

  #failure(job: Job, message: string, final: boolean): ModelState {
    if (final) return { kind: 'failed', message, retryAt: null }
    const { clock, random, onFetched } = this.#options
    let retryAt = this.#failed.get(uidOf(job))
    if (retryAt === undefined) {
      const attempt = Number(job.metadata?.annotations?.[annotations.attempt] ?? 1)
      const bounds = { firstMs: limits.operator.fetchBackOffMs, maxMs: limits.operator.fetchBackOffMsMax }
      retryAt = clock.now() + backOffMs(attempt, random(), bounds)
      this.#failed.set(uidOf(job), retryAt)
      onFetched('failed')
    }
    return { kind: 'failed', message, retryAt }
  }

  /** A Job has gone: what was noted of it goes too. */
  forget(job: Job): void {
    this.#failed.delete(uidOf(job))
  }

  #progress(sha256: string, waitsFor: string | null): ModelState {
    const heard = this.#reports.get(sha256)
    if (heard !== undefined && this.#options.clock.now() - heard.at < reportMsMax)
      return { kind: 'fetching', ...figuresOf(heard.report) }
    const activity = waitsFor ?? 'the fetch is starting'
    return { kind: 'fetching', activity, bytes: 0, bytesTotal: null, bytesPerSecond: 0 }
  }
}

const figuresOf = ({ activity, bytes, bytesTotal, bytesPerSecond }: FetchReport) => ({
  activity,
  bytes,
  bytesTotal,
  bytesPerSecond,
})

const sourcesOf = ({ source, mirrors }: ModelFile) => ({
  'paceline.dev/sources': [source, ...mirrors].join(' '),
})

function isOwnedBy(object: Claim, owners: readonly OwnerReference[]): boolean {
  const uids = (list: readonly { uid: string }[]) =>
    list
      .map(({ uid }) => uid)
      .sort()
      .join()
  return uids(object.metadata?.ownerReferences ?? []) === uids(owners)
}

/** A volume that is not there yet is why a fetch waits. */
function claimTrouble(claim: Claim): string | null {
  if (claim.status?.phase === 'Bound') return null
  const name = nameOf(claim)
  return `waiting for the volume of claim ${name} (${claim.status?.phase ?? 'new'}); is there a storage class or a free volume?`
}
