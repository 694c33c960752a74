/**
 * What `GET /status` answers: the whole picture as `paceline status` shows it, read from the world as it is now.
 */
import { type DeploymentName, RouteName } from '#contracts/ids.ts'
import type {
  DeploymentReport,
  ModelFileState,
  OperatorStatus,
  RouteReport,
  WorkerStatus,
} from '#contracts/operatorStatus.ts'
import type { WorkerRecord } from '#contracts/records.ts'
import type { ModelDeploymentStatus } from '#contracts/resources/modelDeployment.ts'
import { strategyOf } from '#contracts/resources/modelRoute.ts'
import { version } from '#runtime/version.ts'
import { cacheStateOf, type ModelState, type Observed } from './core/observed.ts'
import { type Plan, planDeployment } from './core/plan.ts'
import type { RouteState } from './core/routeStatus.ts'
import { statusOf } from './core/status.ts'
import { type JudgedWorker, judge } from './core/workers.ts'
import { observe, type World } from './reconcile.ts'

export interface StatusFacts {
  readonly pid: number
  readonly startedAt: number
  readonly resourcesPath: string
  readonly problems: readonly string[]
  readonly routes: readonly RouteState[]
}

export function operatorStatus(world: World, facts: StatusFacts): OperatorStatus {
  return {
    version,
    pid: facts.pid,
    uptimeMs: world.clock.now() - facts.startedAt,
    natsConnected: world.reports.busConnectedSince !== null,
    resources: { path: facts.resourcesPath, problems: [...facts.problems] },
    deployments: world.platform.names().map((name) => deploymentReport(world, name)),
    routes: facts.routes.map(routeReport),
  }
}

function routeReport({ route: { name, spec, deployments }, status }: RouteState): RouteReport {
  return {
    name: RouteName.parse(name),
    model: spec?.name ?? null,
    strategy: spec === null ? null : strategyOf(spec),
    deployments: [...deployments],
    status: status ?? { conditions: [], observedGeneration: 0 },
  }
}

function deploymentReport(world: World, name: DeploymentName): DeploymentReport {
  const observed = observe(world, name)
  const { desired } = observed
  const now = world.clock.now()
  const plan = planDeployment(observed, now)
  const view = world.platform.view(name)
  const pids = new Map(view.workers.map(({ worker, pid }) => [worker, pid]))
  return {
    name,
    generation: desired?.generation ?? observed.status?.observedGeneration ?? 0,
    deleting: desired === null,
    replicasWanted: observed.replicas,
    servedNames: [...(desired?.servedNames ?? [])],
    simulated: desired?.spec.engine.kind === 'simulated',
    model: modelState(modelOf(observed, plan), now),
    workers: judge(observed, now).map((worker) => workerStatus(worker, plan, pids.get(worker.worker) ?? null, now)),
    restarts: view.restarts,
    ...(desired === null ? {} : { spec: desired.spec }),
    history: [...view.history],
    status: currentStatus(world, observed, plan, now),
  }
}

/** Written by the last reconcile, with its figures as of now; before the first one, as the planner sees it. */
function currentStatus(world: World, observed: Observed, plan: Plan, now: number): ModelDeploymentStatus {
  const fresh = statusOf(observed, plan, {
    now,
    nowIso: new Date(world.epochMs()).toISOString(),
  })
  return fresh ?? observed.status ?? emptyStatus
}

const emptyStatus: ModelDeploymentStatus = {
  conditions: [],
  replicas: 0,
  readyReplicas: 0,
  selector: '',
  observedGeneration: 0,
  currentRevision: '',
  desiredRevision: '',
  url: '',
  measured: {},
}

function modelOf(observed: Observed, { course }: Plan): ModelState {
  return course === null ? { kind: 'not-needed' } : cacheStateOf(observed, course.target.spec)
}

function modelState(model: ModelState, now: number): ModelFileState {
  if (model.kind !== 'failed') return model
  return {
    kind: 'failed',
    message: model.message,
    retryInMs: model.retryAt === null ? null : Math.max(0, model.retryAt - now),
  }
}

function workerStatus(worker: JudgedWorker, { course }: Plan, pid: number | null, now: number): WorkerStatus {
  const { registration, report } = worker
  return {
    worker: worker.worker,
    revision: worker.revision,
    current: worker.revision === course?.target.revision,
    pid,
    state: worker.state,
    ageMs: now - worker.startedAt,
    version: registration?.version ?? null,
    metricsUrl: registration?.metricsUrl ?? null,
    engine: registration === null ? null : `${registration.engine.kind} ${registration.engine.backend}`,
    slots: report?.slots ?? null,
    tokensPerSecond: report?.tokensPerSecond ?? null,
    speculation: speculationOf(registration),
  }
}

/** As in `ngram up to 8 (goodput)`. */
function speculationOf(registration: WorkerRecord | null): string | null {
  if (registration?.speculation === undefined) return null
  const { method, proposers, draftTokensMax, controller } = registration.speculation
  if (method === 'off') return 'off'
  return proposers.length === 0 ? 'nobody proposes' : `${proposers.join('+')} up to ${draftTokensMax} (${controller})`
}
