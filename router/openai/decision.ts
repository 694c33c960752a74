/**
 * A decision as clients see it: the answer of `POST /v1/route:explain`, and headers of our own where the request asks for them with
 * `x-paceline-explain: true`.
 */
import { baseExpert } from '#contracts/resources/modelDeployment.ts'
import { type RouteDecision, shareOf, type StepRecord } from '../core/route.ts'
import type { ExpertChoice } from '../request.ts'

export interface TimedDecision {
  readonly decision: RouteDecision
  readonly tookMs: number
  readonly plan?: object
}

export const explainHeader = 'x-paceline-explain'
/** Asked for with `true`, and answered with the score. */
export const riskHeader = 'x-paceline-risk'
export const asksForDecision = (value: string | undefined) => value === 'true' || value === '1'

export function decisionBody(model: string, { decision, tookMs, plan }: TimedDecision) {
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
    ...(decision.steps === undefined ? {} : { steps: decision.steps.map(stepBody) }),
    ...(plan === undefined ? {} : { plan }),
    decision_ms: tookMs,
  }
}

function stepBody({ deployment, action, cause, score, threshold, isGuaranteed, answerMs, judgeMs }: StepRecord) {
  const times = { answer_ms: answerMs, judge_ms: judgeMs }
  return { deployment, action, cause, score, threshold, guaranteed: isGuaranteed, ...times }
}

/** `smol:escalate:unreliable:score=0.125:threshold=0.4, gemma:keep:last-step`. */
function stepsHeader(steps: readonly StepRecord[]): string {
  return steps.map(stepText).join(', ')
}

function stepText({ deployment, action, cause, score, threshold, isGuaranteed }: StepRecord): string {
  return [
    `${deployment}:${action}:${cause}`,
    ...(score === null ? [] : [`score=${+score.toFixed(4)}`]),
    ...(threshold === null ? [] : [`threshold=${+threshold.toFixed(4)}`]),
    ...(isGuaranteed ? ['guaranteed'] : []),
  ].join(':')
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
    ...(decision.steps === undefined ? {} : { 'x-paceline-steps': stepsHeader(decision.steps) }),
  }
}

/** Of the answer that the client gets, where it was scored; else of the one that was not given. */
export function riskHeaders({ decision }: TimedDecision): Record<string, string> {
  const risk = decision.strategy === 'risk' ? decision.steps?.findLast(({ score }) => score !== null)?.score : null
  return risk === undefined || risk === null ? {} : { [riskHeader]: risk.toFixed(4) }
}

export function expertBody(choice: ExpertChoice | null) {
  if (choice === null) return {}
  const { expert, cause, probability } = choice
  return { expert: { name: expert ?? baseExpert, cause, ...(probability === null ? {} : { probability }) } }
}

export function expertHeaders(choice: ExpertChoice | null): Record<string, string> {
  if (choice === null) return {}
  const { expert, cause, probability } = choice
  return {
    'x-paceline-expert': expert ?? baseExpert,
    'x-paceline-expert-cause': cause,
    ...(probability === null ? {} : { 'x-paceline-expert-probability': probability.toFixed(4) }),
  }
}
