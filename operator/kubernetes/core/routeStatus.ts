/**
 * What the status of a ModelRoute says. Pure. In this version a route is checked and nobody carries it out: it says so, whether what
 * it names is there, and whose its name is.
 */
import {
  deploymentsOf,
  ModelRouteSpec,
  type ModelRouteStatus,
  type RouteConditionType,
} from '#contracts/resources/modelRoute.ts'
import { conditionsOf, type Finding, finding } from '../../core/conditions.ts'
import type { NameConflict } from '../../core/observed.ts'

export interface KnownRoute {
  readonly name: string
  readonly generation: number
  readonly spec: ModelRouteSpec | null
  /** Every one that it names. */
  readonly deployments: readonly string[]
  /** Why the spec cannot be taken; empty where it can. */
  readonly problems: readonly string[]
}

/** How a deployment stands that a route names. */
export type Standing = 'missing' | 'not-ready' | 'ready'

export interface RouteFacts {
  readonly route: KnownRoute
  /** Of each deployment that it names. */
  readonly deployments: ReadonlyMap<string, Standing>
  /** Who has the route's name; null: the route. */
  readonly conflict: NameConflict | null
}

export function readRoute(name: string, generation: number, spec: unknown): KnownRoute {
  const parsed = ModelRouteSpec.safeParse(spec)
  if (parsed.success)
    return { name, generation, spec: parsed.data, deployments: deploymentsOf(parsed.data), problems: [] }
  const problems = parsed.error.issues.map(({ path, message }) => `${['spec', ...path].join('.')}: ${message}`)
  return { name, generation, spec: null, deployments: [], problems }
}

export function routeStatusOf(facts: RouteFacts, before: ModelRouteStatus | null, nowIso: string): ModelRouteStatus {
  const { generation } = facts.route
  const findings = [readyFinding(facts), deploymentsFinding(facts), degradedFinding(facts)]
  const conditions = conditionsOf(findings, before?.conditions ?? [], { nowIso, generation })
  return { conditions, observedGeneration: generation }
}

type RouteFinding = Finding<RouteConditionType>

function readyFinding({ route, conflict }: RouteFacts): RouteFinding {
  if (route.spec === null) return finding('Ready', 'unknown', 'SpecNotUnderstood', problemsOf(route))
  if (conflict !== null) return finding('Ready', false, 'NameConflict', takenMessage(conflict))
  const asked = `requests for "${route.spec.name}" are answered with "no such model"`
  return finding('Ready', false, 'NoEffectYet', `accepted and checked, without effect in this version: ${asked}`)
}

function deploymentsFinding(facts: RouteFacts): RouteFinding {
  if (facts.route.spec === null) return finding('DeploymentsReady', 'unknown', 'SpecNotUnderstood', 'not known')
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
  const missing = those(facts, 'missing')
  if (missing.length > 0) return finding('Degraded', true, 'DeploymentMissing', missingMessage(missing))
  return finding('Degraded', false, 'AsExpected', 'nothing needs attention')
}

function those({ deployments }: RouteFacts, standing: Standing): string[] {
  return [...deployments].flatMap(([name, found]) => (found === standing ? [name] : []))
}

const problemsOf = ({ problems }: KnownRoute) => `nothing is done with it; to fix: ${problems.join('; ')}`
const missingMessage = (missing: readonly string[]) =>
  `there is no ModelDeployment ${missing.join(', ')}; create it or name another`
const takenMessage = ({ name, owner }: NameConflict) =>
  `"${name}" belongs to ${owner.kind} "${owner.name}"; make a ModelRoute for another name, or free this one there`
