/**
 * What is made of a ModelRoute: what routers are told of it, and what its status says. Pure; the same on every platform.
 *
 * Published is a route whose strategy is carried out and whose name is its own, whether or not its deployments are there: routers see
 * for themselves who is, and a deployment that comes back must not wait for the operator.
 */
import { DeploymentName, RouteName } from '#contracts/ids.ts'
import type { RouteRecord } from '#contracts/records.ts'
import {
  deploymentsOf,
  ModelRouteSpec,
  type ModelRouteStatus,
  type RouteConditionType,
  strategyOf,
} from '#contracts/resources/modelRoute.ts'
import { conditionsOf, type Finding, finding } from './conditions.ts'
import type { NameConflict } from './observed.ts'

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

export function routeRecordOf({ name, created, spec }: KnownRoute, conflict: NameConflict | null): RouteRecord | null {
  const policy = spec === null || conflict !== null ? null : policyOf(spec)
  return spec === null || policy === null ? null : { route: RouteName.parse(name), name: spec.name, created, policy }
}

/** Null: this strategy is checked, and without effect in this version. */
function policyOf(spec: ModelRouteSpec): RouteRecord['policy'] | null {
  const { direct, weighted } = spec
  if (direct !== undefined) return { kind: 'direct', deployment: DeploymentName.parse(direct.deployment) }
  if (weighted === undefined) return null
  const targets = weighted.map(({ deployment, weight }) => ({ deployment: DeploymentName.parse(deployment), weight }))
  return { kind: 'weighted', targets }
}

export function routeStatusOf(facts: RouteFacts, before: ModelRouteStatus | null, nowIso: string): ModelRouteStatus {
  const { generation } = facts.route
  const findings = [readyFinding(facts), deploymentsFinding(facts), degradedFinding(facts)]
  const conditions = conditionsOf(findings, before?.conditions ?? [], { nowIso, generation })
  return { conditions, observedGeneration: generation }
}

type RouteFinding = Finding<RouteConditionType>

function readyFinding(facts: RouteFacts): RouteFinding {
  const { route, conflict } = facts
  if (route.spec === null) return finding('Ready', 'unknown', 'SpecNotUnderstood', problemsOf(route))
  if (conflict !== null) return finding('Ready', false, 'NameConflict', takenMessage(conflict))
  const policy = policyOf(route.spec)
  if (policy === null) return finding('Ready', false, 'NoEffectYet', noEffectMessage(route.spec))
  const ready = targetsOf(policy).filter(({ deployment }) => facts.deployments.get(deployment) === 'ready')
  if (ready.length > 0)
    return finding('Ready', true, 'Routing', `requests for "${route.spec.name}" go to ${sharesOf(ready)}`)
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
function degradedFinding(facts: RouteFacts): RouteFinding {
  const { route, conflict } = facts
  if (route.spec === null) return finding('Degraded', true, 'SpecNotUnderstood', problemsOf(route))
  if (conflict !== null) return finding('Degraded', true, 'NameConflict', takenMessage(conflict))
  const routes = those(facts, 'route')
  if (routes.length > 0) return finding('Degraded', true, 'NotADeployment', circleMessage(routes))
  const missing = those(facts, 'missing')
  if (missing.length > 0) return finding('Degraded', true, 'DeploymentMissing', missingMessage(missing))
  return finding('Degraded', false, 'AsExpected', 'nothing needs attention')
}

interface Share {
  readonly deployment: string
  readonly weight: number
}

function targetsOf(policy: RouteRecord['policy']): readonly Share[] {
  switch (policy.kind) {
    case 'direct':
      return [{ deployment: policy.deployment, weight: 1 }]
    case 'weighted':
      return policy.targets.filter(({ weight }) => weight > 0)
    case 'cascade':
      return policy.steps.map(({ deployment }) => ({ deployment, weight: 1 }))
    default:
      return policy satisfies never
  }
}

/** Of those that can answer: `smol (90%), large (10%)`. */
function sharesOf(targets: readonly Share[]): string {
  const total = targets.reduce((sum, { weight }) => sum + weight, 0)
  const percent = (weight: number) => `${Math.round((weight / total) * 1_000) / 10}%`
  return targets.map(({ deployment, weight }) => `${deployment} (${percent(weight)})`).join(', ')
}

function those({ deployments }: RouteFacts, standing: Standing): string[] {
  return [...deployments].flatMap(([name, found]) => (found === standing ? [name] : []))
}

function noEffectMessage(spec: ModelRouteSpec): string {
  const asked = `requests for "${spec.name}" are answered with "no such model"`
  return `${strategyOf(spec)} is accepted and checked, without effect in this version: ${asked}`
}

const problemsOf = ({ problems }: KnownRoute) => `nothing is done with it; to fix: ${problems.join('; ')}`
const missingMessage = (missing: readonly string[]) =>
  `there is no ModelDeployment ${missing.join(', ')}; create it or name another`
const circleMessage = (routes: readonly string[]) =>
  `${routes.join(', ')} is a ModelRoute; a route names ModelDeployments only, so that routes never go round in a circle`
const takenMessage = ({ name, owner }: NameConflict) =>
  `"${name}" belongs to ${owner.kind} "${owner.name}"; make a ModelRoute for another name, or free this one there`
