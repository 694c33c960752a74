/**
 * Carries out routes with the strategy `cascade`: what all requests to a route share (its budget, its metrics, how the next step stands).
 * One request's way through the steps is `cascadeRun.ts`; what is decided at each is `core/cascade.ts`.
 *
 * A budget is of this router alone and grows with the requests that come to it, so routers need not know of each other to keep the rate.
 */
import type { DeploymentName, RequestId, RouteName, TenantId } from '#contracts/ids.ts'
import type { ModelRecord } from '#contracts/records.ts'
import type { Clock } from '#runtime/clock.ts'
import { CascadeRun, type CascadeRoute, type CascadeStep } from './cascadeRun.ts'
import { afterEscalation, afterRequest, type EscalationBudget, newBudget, thresholdOf } from './core/cascade.ts'
import { firstTokenMs } from './core/nextStep.ts'
import { estimatedTokens } from './core/prompt.ts'
import { stagedDecision } from './core/route.ts'
import type { Deployments } from './deployments.ts'
import type { RouterMetrics } from './metrics.ts'
import type { ParsedRequest } from './openai/route.ts'
import type { Decided, NamedRequest, Routing } from './routing.ts'
import type { StagedRequest, StagedStrategy } from './staged.ts'

/** An answer that was kept because its score was over a calibrated threshold: a label of it says whether the calibration still holds. */
export interface KeptAnswer {
  readonly request: RequestId
  readonly tenant: TenantId
  readonly route: RouteName
  readonly deployment: DeploymentName
  /** Digest of the calibration by which it was kept. */
  readonly calibration: string
  readonly score: number
}

export interface CascadeOptions {
  readonly deployments: Deployments
  readonly routing: Routing
  readonly metrics: RouterMetrics
  readonly clock: Clock
  readonly kept?: (answer: KeptAnswer) => void
}

export class Cascades implements StagedStrategy<'cascade'> {
  readonly #options: CascadeOptions
  readonly #budgets = new Map<RouteName, EscalationBudget>()

  constructor(options: CascadeOptions) {
    this.#options = options
  }

  run(route: CascadeRoute, request: StagedRequest): void {
    if (!route.policy.shadow) {
      new CascadeRun(this, route, { request, mode: 'live' }).start()
      return
    }
    new CascadeRun(this, lastStepOf(route), { request, mode: 'live' }).start()
    new CascadeRun(this, route, { request, mode: 'shadow' }).start()
  }

  /** Whom a request would be asked of first, by what is proved and who is there now; what is decided after that hangs on its answer. */
  explain(route: CascadeRoute): Decided {
    const startedAt = this.clock.now()
    const { steps, shadow, whenFull, streaming } = route.policy
    const asked = steps.find(({ deployment, accept }) => this.threshold(deployment, accept) !== null)
    const first = shadow || asked === undefined ? steps.at(-1) : asked
    const { credit, rateMax } = this.budget(route)
    const cause = shadow ? 'shadow' : asked === undefined ? 'uncalibrated' : 'unjudged'
    return {
      decision: stagedDecision(route, { deployment: first?.deployment ?? null, steps: [], fallback: cause }),
      record: first === undefined ? null : (this.model(first.deployment) ?? null),
      tookMs: this.clock.now() - startedAt,
      plan: {
        steps: steps.map((step) => this.#stepPlan(step)),
        escalation: { rate_max: rateMax, credit },
        when_full: whenFull,
        streaming,
        shadow,
      },
    }
  }

  get clock(): Clock {
    return this.#options.clock
  }

  get metrics(): RouterMetrics {
    return this.#options.metrics
  }

  model(deployment: DeploymentName): ModelRecord | undefined {
    return this.#options.deployments.record(deployment)
  }

  /** What an answer of the step must be over; null: nothing of it may be kept now. */
  threshold(deployment: DeploymentName, accept: CascadeStep['accept']): number | null {
    if (accept === null) return null
    return thresholdOf(accept, { step: this.model(deployment)?.model, judge: this.model(accept.judge)?.model })
  }

  /** When the deployment could give its first token for such a request; null: nobody can answer. */
  firstTokenMs(model: ModelRecord, parsed: ParsedRequest): number | null {
    return this.#firstTokenMs(
      model,
      parsed.works.reduce((sum, work) => sum + estimatedTokens(work), 0),
    )
  }

  #firstTokenMs(model: ModelRecord, promptTokens: number): number | null {
    return firstTokenMs(this.#options.deployments.standby(model), { promptTokens, prefixes: [], key: 0 })
  }

  budget({ route, policy }: CascadeRoute): EscalationBudget {
    const found = this.#budgets.get(route)
    return found?.rateMax === policy.escalationRateMax ? found : newBudget(policy.escalationRateMax)
  }

  /** Another request is decided: its share comes when it may be taken, or those that are under way at once would find the burst and no more. */
  cameToDecide(route: CascadeRoute): void {
    this.#keep(route, afterRequest(this.budget(route)))
  }

  escalated(route: CascadeRoute): void {
    this.#keep(route, afterEscalation(this.budget(route)))
  }

  forget(route: RouteName): void {
    this.#budgets.delete(route)
  }

  /** Of a route that is gone, not even for the requests that still run. */
  #keep({ route, name }: CascadeRoute, budget: EscalationBudget): void {
    if (this.#options.routing.staged(name) !== undefined) this.#budgets.set(route, budget)
  }

  /** The last word on one request: to log and metrics. */
  record(named: NamedRequest, decided: Decided): void {
    this.#options.routing.record(named, decided)
  }

  /** What would have been done, of a request that somebody else has answered. */
  recordAside(named: NamedRequest, decided: Decided): void {
    this.#options.routing.recordAside(named, decided)
  }

  kept(answer: KeptAnswer): void {
    this.#options.kept?.(answer)
  }

  #stepPlan({ deployment, accept }: CascadeStep) {
    const model = this.model(deployment)
    const { deployments } = this.#options
    const firstMs = model === undefined ? null : this.#firstTokenMs(model, 1)
    const standing = deployments.standing(deployment)
    if (accept === null) return { deployment, standing, first_token_ms: firstMs }
    const { judge, references, guarantee } = accept
    return {
      deployment,
      standing,
      first_token_ms: firstMs,
      judge: { deployment: judge, standing: deployments.standing(judge), prompts: 2 * references.length },
      threshold: this.threshold(deployment, accept),
      guarantee,
    }
  }
}

/** In shadow mode nobody else answers. */
function lastStepOf(route: CascadeRoute): CascadeRoute {
  return { ...route, policy: { ...route.policy, steps: route.policy.steps.slice(-1) } }
}
