/**
 * Snapshots for the tests of the planner and the status writer, and a small world that carries plans out: workers start, become
 * ready, crash and end as a test or a seed says. Pure.
 */
import { DeploymentName, Revision, WorkerId } from '#contracts/ids.ts'
import type { WorkerReport } from '#contracts/messages.ts'
import { WorkerRecord } from '#contracts/records.ts'
import { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { workerReport } from '#contracts/testing/workerReport.ts'
import { afterCrash } from './backOff.ts'
import {
  type Demand,
  type Desired,
  filesOf,
  type ModelState,
  type Observed,
  type ObservedWorker,
  replicasWanted,
} from './observed.ts'
import { type Action, type Plan, planDeployment } from './plan.ts'
import { type RevisionHistory, revisionOf } from './revision.ts'
import { statusOf } from './status.ts'

export const digest = 'a'.repeat(64)
export const anyModel = { source: 'https://models.example/a.gguf', mirrors: [], sha256: digest }

export interface SpecFields {
  readonly context?: number
  readonly replicas?: number
  readonly simulated?: boolean
  readonly rollout?: object
  readonly scaling?: object
}

export function specOf(fields: SpecFields = {}): ModelDeploymentSpec {
  const { context = 2048, replicas = 1, simulated = false, rollout = {}, scaling } = fields
  return ModelDeploymentSpec.parse({
    ...(scaling === undefined ? { replicas } : { scaling }),
    rollout,
    engine: { kind: simulated ? 'simulated' : 'llamacpp', contextTokensMax: context },
    ...(simulated ? {} : { target: anyModel }),
  })
}

export function desiredFor(spec: ModelDeploymentSpec, fields: Partial<Desired> = {}): Desired {
  const revision = revisionOf(spec)
  return { generation: 1, revision, spec, servedNames: ['smol'], conflicts: [], created: 1_700_000_000, ...fields }
}

export const noDemand: Demand = { freshness: 'fresh', waiting: 0, held: 0, running: 0, slotsBusy: 0, samples: [] }

/** `model`: the state of every file that the snapshot's revisions need. */
export function observedOf(fields: Partial<Observed> & { model?: ModelState } = {}): Observed {
  const { model = { kind: 'ready', path: '/cache/a.gguf' }, ...rest } = fields
  const desired = rest.desired === undefined ? desiredFor(specOf()) : rest.desired
  const specs = [...(desired === null ? [] : [desired.spec]), ...(rest.history ?? []).map(({ spec }) => spec)]
  return {
    name: DeploymentName.parse('smol'),
    desired,
    replicas: desired === null ? 0 : replicasWanted(desired.spec),
    scaling: null,
    workers: [],
    models: new Map(specs.flatMap(filesOf).map(({ sha256 }) => [sha256, model])),
    crashes: null,
    busConnectedSince: 0,
    published: null,
    status: null,
    history: [],
    resourceProblems: [],
    demand: noDemand,
    sloGoodput: null,
    url: 'http://127.0.0.1:8080',
    drainGraceMs: 30_000,
    nowIso: '2030-01-01T00:00:00.000Z',
    ...rest,
  }
}

export function workerOf(
  worker: string,
  revision: string,
  fields: Partial<ObservedWorker> & { said?: WorkerReport['state'] } = {},
): ObservedWorker {
  const { said, ...rest } = fields
  return {
    worker: WorkerId.parse(worker),
    revision: Revision.parse(revision),
    startedAt: 0,
    drainAskedAt: null,
    report: said === undefined ? null : reportOf(worker, revision, said),
    heardAt: said === undefined ? null : 0,
    readySince: said === 'ready' ? 0 : null,
    registration: null,
    ...rest,
  }
}

export function reportOf(worker: string, revision: string, state: WorkerReport['state']): WorkerReport {
  return workerReport({ worker, deployment: 'smol', revision }, { state, tokensPerSecond: 50 })
}

export function registrationOf(worker: string, revision: string, fields: Partial<WorkerRecord> = {}): WorkerRecord {
  return WorkerRecord.parse({
    worker,
    deployment: 'smol',
    revision,
    pid: 1,
    version: '0',
    metricsUrl: 'http://127.0.0.1:1/metrics',
    engine: {
      kind: 'llamacpp',
      simulated: false,
      backend: 'cpu',
      library: 'x',
      threads: 1,
      kvCacheType: 'f16',
      reproducible: 'no',
    },
    slots: 8,
    contextTokensMax: 2048,
    capabilities: { chat: true, completions: true, embeddings: false, grammar: true },
    ...fields,
  })
}

/** One line per action, for exact sequences. That the history is kept has its own tests. */
export function said(actions: readonly Action[]): string[] {
  const told = actions.filter(({ kind }) => kind !== 'write-history')
  return told.map((action) => {
    switch (action.kind) {
      case 'start-worker':
        return `start ${action.start.revision}${action.restart ? ' again' : ''}`
      case 'drain-worker':
      case 'kill-worker':
        return `${action.kind === 'drain-worker' ? 'drain' : 'kill'} ${action.worker} ${action.why}`
      case 'fetch-model':
        return `fetch ${action.file.sha256.slice(0, 4)}`
      case 'write-history':
      case 'publish-record':
      case 'remove-record':
      case 'forget':
        return action.kind
      default:
        return action satisfies never
    }
  })
}

/** Carries plans out on one deployment. */
export class ModelWorld {
  now = 0
  desired: Desired | null
  model: ModelState = { kind: 'absent' }
  workers: ObservedWorker[] = []
  forgotten = false
  history: RevisionHistory = []
  demand: Demand = noDemand
  status: Observed['status'] = null
  #crashes: Observed['crashes'] = null
  #published: Observed['published'] = null
  #born = 0

  constructor(desired: Desired) {
    this.desired = desired
  }

  observe(): Observed {
    const { desired, workers, model, history, demand, status } = this
    return observedOf({
      desired,
      workers,
      model,
      history,
      demand,
      status,
      crashes: this.#crashes,
      published: this.#published,
    })
  }

  /** One reconcile. */
  step(): Plan {
    const observed = this.observe()
    const plan = planDeployment(observed, this.now)
    for (const action of plan.actions) this.#take(action)
    this.status = statusOf(observed, plan, { now: this.now, nowIso: observed.nowIso })
    return plan
  }

  /** Time passes; every live worker goes on reporting. */
  pass(ms: number): void {
    this.now += ms
    this.workers = this.workers.map((worker) => (worker.heardAt === null ? worker : { ...worker, heardAt: this.now }))
  }

  /** The model arrives, all workers become ready, those that drain end. */
  settle(): void {
    if (this.model.kind === 'fetching') this.model = { kind: 'ready', path: '/cache/a.gguf' }
    this.workers = this.workers.flatMap((worker) => (worker.drainAskedAt === null ? [this.#readied(worker)] : []))
  }

  becomeReady(index: number): void {
    this.workers = this.workers.map((worker, i) => (i === index ? this.#readied(worker) : worker))
  }

  crash(index: number): void {
    const worker = this.workers[index]
    if (worker === undefined) return
    this.workers = this.workers.filter((_, i) => i !== index)
    if (worker.drainAskedAt !== null) return
    const end = { revision: worker.revision, message: 'it crashed', readyMs: 0 }
    this.#crashes = afterCrash(this.#crashes, end, this.now, 0.5)
  }

  get readyCount(): number {
    return this.workers.filter((worker) => worker.drainAskedAt === null && worker.report?.state === 'ready').length
  }

  #readied(worker: ObservedWorker): ObservedWorker {
    const { worker: name, revision } = worker
    const registration = registrationOf(name, revision)
    const readySince = worker.readySince ?? this.now
    return { ...worker, report: reportOf(name, revision, 'ready'), heardAt: this.now, readySince, registration }
  }

  #take(action: Action): void {
    switch (action.kind) {
      case 'write-history':
        this.history = action.history
        return
      case 'fetch-model':
        this.model = { kind: 'fetching', activity: 'downloading', bytes: 0, bytesTotal: null, bytesPerSecond: 0 }
        return
      case 'start-worker':
        this.workers = [...this.workers, workerOf(`w${this.#born++}`, action.start.revision, { startedAt: this.now })]
        return
      case 'drain-worker':
        this.workers = this.workers.map((w) => (w.worker === action.worker ? { ...w, drainAskedAt: this.now } : w))
        return
      case 'kill-worker':
        this.workers = this.workers.filter(({ worker }) => worker !== action.worker)
        return
      case 'publish-record':
        this.#published = action.record
        return
      case 'remove-record':
        this.#published = null
        return
      case 'forget':
        this.forgotten = true
        return
      default:
        action satisfies never
    }
  }
}
