/**
 * From the model name of a request to the deployment that gets it: takes the snapshot, asks `core/route.ts`, and leaves the decision's
 * record in log and metrics.
 *
 * A deployment's own and served names are looked up first; only routes are counted and logged. Decides nothing itself.
 */
import type { DeploymentName, RequestId, TenantId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { Failure } from '#contracts/failure.ts'
import type { ModelRecord, RouteRecord } from '#contracts/records.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { type ExpertWish, hasExpert, noSuchExpert, splitName, wishOf } from './core/expertWish.ts'
import { decideRoute, namedDecision, type RouteDecision, type Standing, targetsOf } from './core/route.ts'
import type { SessionKey } from './core/sessionKey.ts'
import type { Deployments } from './deployments.ts'
import type { RouterMetrics } from './metrics.ts'
import type { Registry } from './registry.ts'
import type { StagedRecord } from './staged.ts'

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
  /** Of a route that takes several steps, for who asks what would be done: all that the decision will hang on. */
  readonly plan?: object
  /** Which of the deployment's experts; absent: none. */
  readonly expert?: ExpertWish
}

export class Routing {
  readonly #registry: Registry
  readonly #deployments: Deployments
  readonly #clock: Clock
  readonly #log: Log
  readonly #metrics: RouterMetrics
  readonly #say: 'info' | 'debug'

  /** `accessLog`: each decision is worth a line like each request. */
  constructor(options: {
    registry: Registry
    deployments: Deployments
    clock: Clock
    log: Log
    metrics: RouterMetrics
    accessLog: boolean
  }) {
    this.#registry = options.registry
    this.#deployments = options.deployments
    this.#clock = options.clock
    this.#log = options.log
    this.#metrics = options.metrics
    this.#say = options.accessLog ? 'info' : 'debug'
  }

  /** What would be done now, and nothing else. Undefined: nobody has this name. */
  explain({ model: name, tenant, key }: NamedRequest): Decided | undefined {
    const { model, expert } = splitName(name, (each) => this.#isKnown(each))
    const record = this.#registry.model(model)
    if (record !== undefined)
      return { decision: namedDecision(record.deployment), record, tookMs: 0, expert: wishOf(record, expert) }
    const route = this.#registry.route(model)
    if (route === undefined || (expert !== null && isStaged(route))) return undefined
    const startedAt = this.#clock.now()
    const candidates = targetsOf(route).map((target) => ({
      ...target,
      standing: this.#standingFor(target.deployment, expert),
    }))
    const decision = decideRoute(route, candidates, { tenant, key })
    const { deployment } = decision
    const chosen = deployment === null ? null : (this.#registry.deployment(deployment) ?? null)
    const tookMs = this.#clock.now() - startedAt
    if (chosen !== null) return { decision, record: chosen, tookMs, expert: wishOf(chosen, expert) }
    if (expert !== null) throw noSuchExpert(model, expert, this.#expertsOf(route))
    return { decision, record: chosen, tookMs }
  }

  #isKnown(name: string): boolean {
    return this.#registry.model(name) !== undefined || this.#registry.route(name) !== undefined
  }

  /** Who does not have the expert that is asked for is no candidate. */
  #standingFor(deployment: DeploymentName, expert: string | null): Standing {
    const record = this.#registry.deployment(deployment)
    return record !== undefined && !hasExpert(record, expert) ? 'unknown' : this.#deployments.standing(deployment)
  }

  #expertsOf(route: RouteRecord): ModelRecord['experts'] {
    const experts = targetsOf(route).flatMap(({ deployment }) => this.#registry.deployment(deployment)?.experts ?? [])
    return [...new Map(experts.map((expert) => [expert.name, expert])).values()]
  }

  /** As `explain`, for a request that is then carried out: it leaves its record. */
  decide(request: NamedRequest): Decided | undefined {
    const decided = this.explain(request)
    if (decided === undefined || decided.decision.route === null) return decided
    this.record(request, decided)
    this.#metrics.routeDecisionSeconds.observe({ strategy: decided.decision.strategy }, decided.tookMs / 1_000)
    return decided
  }

  /** What was decided, whoever decided it. */
  record({ id, model }: NamedRequest, { decision, tookMs }: Decided): void {
    const { route, deployment, cause } = decision
    this.#metrics.routeDecisions.inc({ route: route ?? 'none', deployment: deployment ?? 'none', cause })
    this.#log[this.#say]({ request: id, model, ...decision, tookMs }, 'route decided')
  }

  /** What would have been decided by a strategy that only looks on. */
  recordAside({ id, model }: NamedRequest, { decision, tookMs }: Decided): void {
    this.#log[this.#say]({ request: id, model, ...decision, tookMs }, 'route would have decided')
  }

  /** The route of this name, where it takes several steps; a deployment's own names come first. */
  staged(name: string): StagedRecord | undefined {
    if (this.#registry.model(name) !== undefined) return undefined
    const route = this.#registry.route(name)
    return route !== undefined && isStaged(route) ? route : undefined
  }
}

const isStaged = (route: RouteRecord): route is StagedRecord =>
  route.policy.kind === 'cascade' || route.policy.kind === 'risk'

/** For a route of which no deployment exists. */
export function noDeployment(model: string): Failure {
  const message = `the route '${model.slice(0, 128)}' names no deployment that exists; create one, or name others in its ModelRoute`
  return new Failure('no-worker', message, { retry: { kind: 'after', afterMs: limits.queue.retryAfterMsDefault } })
}
