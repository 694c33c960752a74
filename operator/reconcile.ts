/**
 * One reconcile: observe → plan → apply → status. The same for every platform; what to do is decided in `core/` alone.
 *
 * Safe to run at any time and twice; nothing here sleeps. What could not be done is in the outcome, and is tried again later
 * while the rest goes on: a worker is restarted whether or not NATS can be reached.
 */
import { Failure } from '#contracts/failure.ts'
import type { DeploymentName } from '#contracts/ids.ts'
import type { ModelFile } from '#contracts/resources/modelDeployment.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { goodputOf } from './core/demand.ts'
import {
  acceptanceFileOf,
  adapterFilesOf,
  draftFileOf,
  filesOf,
  gateFileOf,
  modelFileOf,
  type Observed,
  type ObservedWorker,
  tableFileOf,
} from './core/observed.ts'
import { type Action, type Plan, planDeployment } from './core/plan.ts'
import type { RevisionHistory } from './core/revision.ts'
import { statusOf } from './core/status.ts'
import type { ModelStore } from './models/store.ts'
import type { Platform, PlatformWorker } from './platform.ts'
import type { Publisher } from './publish.ts'
import type { Requeue } from './queue.ts'
import type { Reports } from './reports.ts'
import type { Scaler } from './scaler.ts'

export interface World {
  readonly platform: Platform
  readonly store: ModelStore
  readonly publisher: Publisher
  readonly reports: Reports
  readonly scaler: Scaler
  readonly clock: Clock
  readonly epochMs: () => number
  readonly log: Log
  readonly routerUrl: string
  readonly drainGraceMs: number
  readonly onRestart: (name: DeploymentName) => void
  /** A revision was given up for the last good one. */
  readonly onRollback: (name: DeploymentName) => void
}

export type ApplyOutcome =
  | { readonly kind: 'applied' }
  | { readonly kind: 'incomplete'; readonly failures: readonly Failure[] }

type StartAction = Extract<Action, { kind: 'start-worker' }>

/** While a model is being fetched its condition shows how far it is; looked at this often. */
const fetchRecheckMs = 1_000

export async function reconcile(world: World, name: DeploymentName): Promise<Requeue> {
  const now = world.clock.now()
  const observed = observe(world, name)
  const plan = planDeployment(observed, now)
  const done = [...(await attempt(() => world.platform.prepare(name))), ...(await apply(world, observed, plan))]
  const [kept, told] = await Promise.all([
    attempt(() => world.platform.upkeep(name)),
    attempt(() => writeStatus(world, afterwards(world, observed, plan), plan, now)),
  ])
  const failures = [...done, ...kept, ...told]
  return requeueFor(plan, failures.length === 0 ? { kind: 'applied' } : { kind: 'incomplete', failures })
}

/** With the workers as they are after what was done: else a status would be written that is out of date at once. */
function afterwards(world: World, observed: Observed, { actions }: Plan): Observed {
  if (actions.length === 0) return observed
  const { workers } = world.platform.view(observed.name)
  return { ...observed, workers: observedWorkers(world, workers) }
}

export function observe(world: World, name: DeploymentName): Observed {
  const { platform, store, publisher, reports } = world
  const view = platform.view(name)
  const { desired } = view
  const demand = reports.demandOf(name, view.workers)
  const specs = [...(desired === null ? [] : [desired.spec]), ...view.history.map(({ spec }) => spec)]
  return {
    name,
    desired,
    ...world.scaler.wanted(name, view),
    workers: observedWorkers(world, view.workers),
    models: new Map(specs.flatMap(filesOf).map((file) => [file.sha256, store.stateOf(file)])),
    crashes: view.crashes,
    busConnectedSince: reports.busConnectedSince,
    published: publisher.recordOf(name),
    status: view.status,
    history: view.history,
    resourceProblems: view.problems,
    demand,
    sloGoodput: goodputOf(demand, world.clock.now()),
    url: world.routerUrl,
    drainGraceMs: world.drainGraceMs,
    nowIso: new Date(world.epochMs()).toISOString(),
  }
}

function observedWorkers({ reports }: World, workers: readonly PlatformWorker[]): ObservedWorker[] {
  return workers.map((worker) => {
    const heard = reports.of(worker.worker)
    const said = {
      report: heard?.report ?? null,
      heardAt: heard?.heardAt ?? null,
      readySince: heard?.readySince ?? null,
    }
    return { ...worker, ...said, registration: reports.registrationOf(worker.worker) }
  })
}

/** Takes the actions in order. One that fails does not stop the others, but ends any that would forget it. */
async function apply(world: World, observed: Observed, plan: Plan): Promise<Failure[]> {
  const failures: Failure[] = []
  for (const action of plan.actions) {
    if (action.kind === 'forget' && failures.length > 0) continue
    logAction(world, observed.name, action)
    failures.push(...(await attempt(() => applyAction(world, observed, action))))
  }
  return failures
}

async function attempt(step: () => void | Promise<void>): Promise<Failure[]> {
  try {
    await step()
    return []
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return [error]
  }
}

async function writeStatus({ platform, epochMs }: World, observed: Observed, plan: Plan, now: number): Promise<void> {
  const status = statusOf(observed, plan, { now, nowIso: new Date(epochMs()).toISOString() })
  if (status !== null) await platform.writeStatus(observed.name, status)
}

async function applyAction(world: World, observed: Observed, action: Action): Promise<void> {
  const { platform, store, publisher } = world
  switch (action.kind) {
    case 'fetch-model':
      return store.fetch(action.file, observed.name)
    case 'write-history':
      await platform.writeHistory(observed.name, action.history)
      if (isRollback(observed, action.history)) world.onRollback(observed.name)
      return
    case 'start-worker':
      return startWorker(world, observed.name, action)
    case 'drain-worker':
      return platform.drainWorker(action.worker, action.why)
    case 'kill-worker':
      return platform.killWorker(action.worker, action.why)
    case 'publish-record':
      return publisher.putRecord(observed.name, action.record)
    case 'remove-record':
      return publisher.removeRecord(observed.name)
    case 'forget':
      world.reports.forget(observed.name)
      return platform.forget(observed.name)
    default:
      return action satisfies never
  }
}

function isRollback({ history }: Observed, next: RevisionHistory): boolean {
  return next[0]?.state === 'failed' && (history[0]?.revision !== next[0].revision || history[0].state !== 'failed')
}

async function startWorker(world: World, name: DeploymentName, action: StartAction): Promise<void> {
  const { revision, spec, image } = action.start
  const found = new Map<string, string>()
  for (const file of filesOf(spec)) {
    const path = await world.store.confirm(file)
    // It has gone since it was seen: the store now says so, and the next plan fetches it again.
    if (path === null) return
    found.set(file.sha256, path)
  }
  const pathOf = (file: ModelFile | null) => (file === null ? null : (found.get(file.sha256) ?? null))
  const paths = {
    modelPath: pathOf(modelFileOf(spec)),
    draftPath: pathOf(draftFileOf(spec)),
    tablePath: pathOf(tableFileOf(spec)),
    acceptancePath: pathOf(acceptanceFileOf(spec)),
    experts: adapterFilesOf(spec).map(({ name, file }) => ({ name, path: pathOf(file) })),
    gatePath: pathOf(gateFileOf(spec)),
  }
  if (action.restart) world.onRestart(name)
  const order = { deployment: name, revision, spec, ...paths }
  await world.platform.startWorker(image === undefined ? order : { ...order, image })
}

function logAction(world: World, name: DeploymentName, action: Action): void {
  world.log.info({ deployment: name, action: action.kind, ...briefly(action) }, 'acting')
}

/** Records, specs and files are long and can be read elsewhere. */
function briefly(action: Action): object {
  switch (action.kind) {
    case 'write-history':
    case 'publish-record':
    case 'fetch-model':
    case 'remove-record':
    case 'forget':
      return {}
    case 'start-worker':
      return { revision: action.start.revision, restart: action.restart }
    case 'drain-worker':
    case 'kill-worker':
      return { worker: action.worker, why: action.why }
    default:
      return action satisfies never
  }
}

export function requeueFor({ next }: Plan, outcome: ApplyOutcome): Requeue {
  if (outcome.kind === 'incomplete')
    return { kind: 'back-off', reason: outcome.failures.map(({ message }) => message).join('; ') }
  switch (next.kind) {
    case 'done':
      return { kind: 'await-change' }
    case 'wait':
      return { kind: 'after', ms: next.until === 'model' ? Math.min(next.recheckMs, fetchRecheckMs) : next.recheckMs }
    case 'stalled':
      return { kind: 'stalled', reason: next.reason }
    default:
      return next satisfies never
  }
}
