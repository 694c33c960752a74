/**
 * From the model name of a request to the deployment that gets it: takes the snapshot, asks `core/route.ts`, and leaves the decision's
 * record in log and metrics.
 *
 * A deployment's own and served names are looked up first; only routes are counted and logged. Decides nothing itself.
 */
import type { RequestId, TenantId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { Failure } from '#contracts/failure.ts'
import type { ModelRecord } from '#contracts/records.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { decideRoute, namedDecision, type RouteDecision, type Standing, targetsOf } from './core/route.ts'
import type { SessionKey } from './core/sessionKey.ts'
import type { WorkerTable } from './core/workers.ts'
import { holdsFromZero } from './holds.ts'
import type { RouterMetrics } from './metrics.ts'
import type { Registry } from './registry.ts'

export interface NamedRequest {
  readonly id: RequestId
  /** The model name that the client gave. */
  readonly model: string
  readonly tenant: TenantId
  readonly key: SessionKey
}

export interface Decided {
  readonly decision: RouteDecision
  /** Of the deployment; null where the decision has none. */
  readonly record: ModelRecord | null
  /** What deciding took. */
  readonly tookMs: number
}

export class Routing {
  readonly #registry: Registry
  readonly #workers: WorkerTable
  readonly #clock: Clock
  readonly #log: Log
  readonly #metrics: RouterMetrics
  readonly #say: 'info' | 'debug'

  /** `accessLog`: each decision is worth a line like each request. */
  constructor(options: {
    registry: Registry
    workers: WorkerTable
    clock: Clock
    log: Log
    metrics: RouterMetrics
    accessLog: boolean
  }) {
    this.#registry = options.registry
    this.#workers = options.workers
    this.#clock = options.clock
    this.#log = options.log
    this.#metrics = options.metrics
    this.#say = options.accessLog ? 'info' : 'debug'
  }

  /** What would be done now, and nothing else. Undefined: nobody has this name. */
  explain({ model, tenant, key }: NamedRequest): Decided | undefined {
    const record = this.#registry.model(model)
    if (record !== undefined) return { decision: namedDecision(record.deployment), record, tookMs: 0 }
    const route = this.#registry.route(model)
    if (route === undefined) return undefined
    const startedAt = this.#clock.now()
    const candidates = targetsOf(route).map((target) => ({ ...target, standing: this.#standingOf(target.deployment) }))
    const decision = decideRoute(route, candidates, { tenant, key })
    const { deployment } = decision
    const chosen = deployment === null ? null : (this.#registry.deployment(deployment) ?? null)
    return { decision, record: chosen, tookMs: this.#clock.now() - startedAt }
  }

  /** As `explain`, for a request that is then carried out: it leaves its record. */
  decide(request: NamedRequest): Decided | undefined {
    const decided = this.explain(request)
    if (decided !== undefined && decided.decision.route !== null) this.#record(request, decided)
    return decided
  }

  #record({ id, model }: NamedRequest, { decision, tookMs }: Decided): void {
    const { route, strategy, deployment, cause } = decision
    this.#metrics.routeDecisions.inc({ route: route ?? 'none', deployment: deployment ?? 'none', cause })
    this.#metrics.routeDecisionSeconds.observe({ strategy }, tookMs / 1_000)
    this.#log[this.#say]({ request: id, model, ...decision, tookMs }, 'route decided')
  }

  #standingOf(deployment: string): Standing {
    const record = this.#registry.deployment(deployment)
    if (record === undefined) return 'unknown'
    const workers = this.#workers.of(record.deployment)
    const now = this.#clock.now()
    if (workers.some((worker) => this.#workers.standing(worker, now) === 'live')) return 'ready'
    return workers.length === 0 && holdsFromZero(record) ? 'asleep' : 'unready'
  }
}

/** For a route of which no deployment exists. */
export function noDeployment(model: string): Failure {
  const message = `the route '${model.slice(0, 128)}' names no deployment that exists; create one, or name others in its ModelRoute`
  return new Failure('no-worker', message, { retry: { kind: 'after', afterMs: limits.queue.retryAfterMsDefault } })
}
