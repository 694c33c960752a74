/**
 * What routers are told of a ModelRoute. Pure; the same on every platform.
 *
 * A cascade is told whole, its references and thresholds included: a router has nobody to ask, and must not judge a document.
 */
import { DeploymentName, RouteName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { CascadePolicy, RouteRecord } from '#contracts/records.ts'
import type { CascadeSpec, ModelRouteSpec, Risk } from '#contracts/resources/modelRoute.ts'
import type { RiskPolicy } from '#contracts/riskPolicy.ts'
import { type CalibrationSources, type JudgedStep, judgeCascade } from './calibrations.ts'
import type { NameConflict } from './observed.ts'
import { type JudgedRisk, judgeRisk } from './riskCalibrations.ts'
import type { KnownRoute } from './routeStatus.ts'

export function routeRecordOf(
  { name, created, spec }: KnownRoute,
  conflict: NameConflict | null,
  sources: CalibrationSources,
): RouteRecord | null {
  if (spec === null || conflict !== null) return null
  const policy = policyOf(spec, sources)
  if (tooLarge({ name, created, spec }, policy) !== null) return null
  return { route: RouteName.parse(name), name: spec.name, created, policy }
}

/** A part of a route would be another route: of one that does not fit into one message routers are told nothing. For people; null: it fits. */
export function tooLarge({ name, created, spec }: Named, policy: RouteRecord['policy']): string | null {
  const bytes = Buffer.byteLength(JSON.stringify({ route: name, name: spec?.name, created, policy }))
  const bytesMax = limits.nats.payloadBytesMax
  if (bytes <= bytesMax) return null
  return `what routers need to know of it is ${bytes} bytes, and at most ${bytesMax} can be told; ${smallerBy[policy.kind]}`
}

type Named = Pick<KnownRoute, 'name' | 'created' | 'spec'>

const smallerBy = {
  direct: 'shorten it',
  weighted: 'name fewer deployments',
  cascade: 'keep fewer or shorter references, or fewer steps that have some',
  risk: 'calibrate with fewer hidden units, shorten the schemas of its sources, or keep fewer references',
} as const satisfies Record<RouteRecord['policy']['kind'], string>

export function policyOf(spec: ModelRouteSpec, sources: CalibrationSources): RouteRecord['policy'] {
  const { direct, weighted = [], cascade, risk } = spec
  if (direct !== undefined) return { kind: 'direct', deployment: DeploymentName.parse(direct.deployment) }
  if (cascade !== undefined) return cascadePolicyOf(cascade, sources)
  if (risk !== undefined) return riskPolicyOf(risk, judgeRisk(risk, sources))
  const targets = weighted.map(({ deployment, weight }) => ({ deployment: DeploymentName.parse(deployment), weight }))
  return { kind: 'weighted', targets }
}

function riskPolicyOf(risk: Risk, { calibration, references }: JudgedRisk): RiskPolicy {
  const { deployment, escalateTo, embedding, trafficLog, calibration: _named, ...same } = risk
  return {
    kind: 'risk',
    ...same,
    deployment: DeploymentName.parse(deployment),
    escalateTo: DeploymentName.parse(escalateTo),
    embedding: DeploymentName.parse(embedding?.deployment ?? deployment),
    references: [...references],
    calibration,
    trafficLog: trafficLog ?? null,
  }
}

function cascadePolicyOf(cascade: CascadeSpec, sources: CalibrationSources): CascadePolicy {
  const judged = judgeCascade(cascade, sources)
  const { escalationRateMax, whenFull, streaming, shadow } = cascade
  const steps = cascade.steps.map(({ deployment }, i) => ({
    deployment: DeploymentName.parse(deployment),
    accept: acceptOf(judged[i] ?? null),
  }))
  return { kind: 'cascade', steps, escalationRateMax, whenFull, streaming, shadow }
}

function acceptOf(step: JudgedStep | null): CascadePolicy['steps'][number]['accept'] {
  if (step === null) return null
  const { judge, references, prior, guarantee } = step
  return { judge: DeploymentName.parse(judge), references: [...references], prior, guarantee }
}
