/**
 * What is made of a ModelRoute: what routers are told of it, and what its status says. Pure; the same on every platform.
 *
 * Published is a route whose name is its own, whether or not its deployments are there: routers see for themselves who is, and a
 * deployment that comes back must not wait for the operator.
 */
import type { RouteRecord } from '#contracts/records.ts'
import {
  deploymentsOf,
  ModelRouteSpec,
  type ModelRouteStatus,
  type RouteConditionType,
} from '#contracts/resources/modelRoute.ts'
import {
  calibrationFinding,
  calibrationStatus,
  calibrationTrouble,
  type JudgedRoute,
  judgeRoute,
  keptText,
  percent,
} from './calibrationFinding.ts'
import type { CalibrationSources } from './calibrations.ts'
import { conditionsOf, type Finding, finding } from './conditions.ts'
import type { NameConflict } from './observed.ts'
import { policyOf, tooLarge } from './routePolicy.ts'

export interface KnownRoute {
  readonly name: string
  readonly generation: number
  /** Seconds since the epoch. */
  readonly created: number
  readonly spec: ModelRouteSpec | null
  /** Every one that it names. */
  readonly deployments: readonly string[]
  /** Why the spec cannot be taken; empty where it can. */
  readonly problems: readonly string[]
}

/** How a deployment stands that a route names; `route`: there is only a ModelRoute of that name. */
export type Standing = 'missing' | 'route' | 'not-ready' | 'ready'

export interface RouteFacts {
  readonly route: KnownRoute
  /** Of each deployment that it names. */
  readonly deployments: ReadonlyMap<string, Standing>
  /** Who has the route's name; null: the route. */
  readonly conflict: NameConflict | null
  readonly sources: CalibrationSources
}

/** A route as it stands: for routers, for people. */
export interface RouteState {
  readonly route: KnownRoute
  /** Null: routers know nothing of it. */
  readonly record: RouteRecord | null
  /** Null: not judged yet. */
  readonly status: ModelRouteStatus | null
}

export function readRoute(name: string, meta: { generation: number; created: number }, spec: unknown): KnownRoute {
  const parsed = ModelRouteSpec.safeParse(spec)
  if (parsed.success) return { name, ...meta, spec: parsed.data, deployments: deploymentsOf(parsed.data), problems: [] }
  const problems = parsed.error.issues.map(({ path, message }) => `${['spec', ...path].join('.')}: ${message}`)
  return { name, ...meta, spec: null, deployments: [], problems }
}

export function routeStatusOf(facts: RouteFacts, before: ModelRouteStatus | null, nowIso: string): ModelRouteStatus {
  const { generation, spec } = facts.route
  const judged = judgeRoute(spec, facts.sources)
  const findings = [
    readyFinding(facts, judged),
    deploymentsFinding(facts),
    calibrationFinding(judged),
    degradedFinding(facts, judged),
  ].filter((found) => found !== null)
  const conditions = conditionsOf(findings, before?.conditions ?? [], { nowIso, generation })
  return { conditions, observedGeneration: generation, ...calibrationStatus(judged, before) }
}

type RouteFinding = Finding<RouteConditionType>

function readyFinding(facts: RouteFacts, judged: JudgedRoute): RouteFinding {
  const { route, conflict, sources } = facts
  if (route.spec === null) return finding('Ready', 'unknown', 'SpecNotUnderstood', problemsOf(route))
  if (conflict !== null) return finding('Ready', false, 'NameConflict', takenMessage(conflict))
  const policy = policyOf(route.spec, sources)
  const large = tooLarge(route, policy)
  if (large !== null) return finding('Ready', false, 'TooLarge', large)
  const isReady = (deployment: string) => facts.deployments.get(deployment) === 'ready'
  const ready = answering(policy).filter(({ deployment }) => isReady(deployment))
  if (ready.length > 0)
    return finding(
      'Ready',
      true,
      'Routing',
      `requests for "${route.spec.name}" go to ${whereTo(policy, ready, judged)}`,
    )
  const refused = `none of its deployments is ready, so requests for "${route.spec.name}" are refused; see DeploymentsReady`
  return finding('Ready', false, 'NoDeploymentReady', refused)
}

function deploymentsFinding(facts: RouteFacts): RouteFinding {
  if (facts.route.spec === null) return finding('DeploymentsReady', 'unknown', 'SpecNotUnderstood', 'not known')
  const routes = those(facts, 'route')
  if (routes.length > 0) return finding('DeploymentsReady', false, 'NotADeployment', circleMessage(routes))
  const missing = those(facts, 'missing')
  if (missing.length > 0) return finding('DeploymentsReady', false, 'DeploymentMissing', missingMessage(missing))
  const waiting = those(facts, 'not-ready')
  if (waiting.length > 0)
    return finding('DeploymentsReady', false, 'DeploymentNotReady', `not ready: ${waiting.join(', ')}`)
  return finding('DeploymentsReady', true, 'AllReady', `ready: ${those(facts, 'ready').join(', ')}`)
}

/** The gravest first. */
function degradedFinding(facts: RouteFacts, judged: JudgedRoute): RouteFinding {
  const { route, conflict } = facts
  if (route.spec === null) return finding('Degraded', true, 'SpecNotUnderstood', problemsOf(route))
  if (conflict !== null) return finding('Degraded', true, 'NameConflict', takenMessage(conflict))
  const large = tooLarge(route, policyOf(route.spec, facts.sources))
  if (large !== null) return finding('Degraded', true, 'TooLarge', large)
  const routes = those(facts, 'route')
  if (routes.length > 0) return finding('Degraded', true, 'NotADeployment', circleMessage(routes))
  const missing = those(facts, 'missing')
  if (missing.length > 0) return finding('Degraded', true, 'DeploymentMissing', missingMessage(missing))
  const trouble = calibrationTrouble(judged)
  if (trouble !== null) return finding('Degraded', true, trouble.reason, trouble.message)
  return finding('Degraded', false, 'AsExpected', 'nothing needs attention')
}

interface Share {
  readonly deployment: string
  readonly weight: number
}

/** Who can give an answer that is final. */
function answering(policy: RouteRecord['policy']): readonly Share[] {
  const alone = (deployment: string) => ({ deployment, weight: 1 })
  switch (policy.kind) {
    case 'direct':
      return [alone(policy.deployment)]
    case 'weighted':
      return policy.targets.filter(({ weight }) => weight > 0)
    case 'cascade':
      return policy.steps
        .filter(({ accept }) => accept === null || (accept.guarantee.kind === 'holds' && !policy.shadow))
        .map(({ deployment }) => alone(deployment))
    case 'risk': {
      const { deployment, escalateTo, calibration, shadow } = policy
      return calibration.kind === 'made' && !shadow ? [alone(deployment), alone(escalateTo)] : [alone(escalateTo)]
    }
    default:
      return policy satisfies never
  }
}

/** Of those that can answer: `smol (90%), large (10%)`; where answers are judged, what is kept of whom. */
function whereTo(policy: RouteRecord['policy'], ready: readonly Share[], judged: JudgedRoute): string {
  const total = ready.reduce((sum, { weight }) => sum + weight, 0)
  switch (policy.kind) {
    case 'direct':
    case 'weighted':
      return ready.map(({ deployment, weight }) => `${deployment} (${percent(weight / total)})`).join(', ')
    case 'cascade': {
      const all = policy.steps.map(({ deployment }) => `${deployment}${keptText(judged, deployment)}`)
      return policy.shadow ? `${all.at(-1) ?? ''}; the others are judged beside it (shadow)` : all.join(', then to ')
    }
    case 'risk': {
      const { deployment, escalateTo, escalateFrom, shadow } = policy
      if (shadow) return `${escalateTo}; ${deployment} is judged beside it (shadow)`
      return `${deployment}, then to ${escalateTo} from a risk of ${escalateFrom} on`
    }
    default:
      return policy satisfies never
  }
}

function those({ deployments }: RouteFacts, standing: Standing): string[] {
  return [...deployments].flatMap(([name, found]) => (found === standing ? [name] : []))
}

const problemsOf = ({ problems }: KnownRoute) => `nothing is done with it; to fix: ${problems.join('; ')}`
const missingMessage = (missing: readonly string[]) =>
  `there is no ModelDeployment ${missing.join(', ')}; create it or name another`
const circleMessage = (routes: readonly string[]) =>
  `${routes.join(', ')} is a ModelRoute; a route names ModelDeployments only, so that routes never go round in a circle`
const takenMessage = ({ name, owner }: NameConflict) =>
  `"${name}" belongs to ${owner.kind} "${owner.name}"; make a ModelRoute for another name, or free this one there`
