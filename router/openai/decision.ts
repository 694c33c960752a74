/**
 * A decision as clients see it: the answer of `POST /v1/route:explain`, and headers of our own where the request asks for them with
 * `x-paceline-explain: true`.
 */
import { type RouteDecision, shareOf } from '../core/route.ts'

export interface TimedDecision {
  readonly decision: RouteDecision
  readonly tookMs: number
}

export const explainHeader = 'x-paceline-explain'
export const asksForDecision = (value: string | undefined) => value === 'true' || value === '1'

export function decisionBody(model: string, { decision, tookMs }: TimedDecision) {
  const { route, strategy, deployment, cause, session, threshold, candidates } = decision
  return {
    object: 'route.decision',
    model,
    route,
    strategy,
    deployment,
    cause,
    session,
    share: shareOf(decision),
    threshold,
    candidates,
    decision_ms: tookMs,
  }
}

export function decisionHeaders({ decision, tookMs }: TimedDecision): Record<string, string> {
  return {
    ...(decision.route === null ? {} : { 'x-paceline-route': decision.route }),
    'x-paceline-strategy': decision.strategy,
    'x-paceline-deployment': decision.deployment ?? 'none',
    'x-paceline-cause': decision.cause,
    'x-paceline-session': decision.session,
    'x-paceline-share': shareOf(decision).toFixed(4),
    'x-paceline-decision-ms': tookMs.toFixed(4),
  }
}
