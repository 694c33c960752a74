/**
 * Which deployment a request to a route goes to: how those that it names stand → the share of each → one, and the same one for
 * everything with the same session key.
 *
 * Weighted rendezvous: a deployment scores weight / -ln(u), where u is a hash of (route, deployment, tenant, session key), and the
 * highest score wins. So each gets its share of the keys, whichever router is asked, and nobody keeps a table. A changed weight, or a
 * deployment that comes or goes, moves only those sessions that must move. Weight 0 is never chosen.
 * Pure: (route, candidates, key) decide alone, and all that was weighed is in the decision.
 */
import { hash } from 'node:crypto'
import type { DeploymentName, RouteName, TenantId } from '#contracts/ids.ts'
import type { RouteRecord } from '#contracts/records.ts'
import type { Cause as CascadeCause } from './cascade.ts'
import type { RiskCause } from './riskDecision.ts'
import type { SessionKey, SessionSource } from './sessionKey.ts'

/** `asleep`: no worker, and a request starts one. `unready`: it exists and nobody answers. `unknown`: no such deployment. */
export type Standing = 'ready' | 'asleep' | 'unready' | 'unknown'

export interface Candidate {
  readonly deployment: DeploymentName
  readonly weight: number
  readonly standing: Standing
}

export interface WeighedCandidate extends Candidate {
  /** Of all keys, as everybody stands now. */
  readonly share: number
  readonly score: number
}

/**
 * `named`: a deployment was asked for by its own name. `direct`: the route has one. `share`: its turn by the request's id.
 * `session`: its turn by the session key. `stand-in`: its turn belongs to another one, which cannot answer. `none-ready`: nobody can;
 * this one was next. `none-exists`: the route names only what does not exist.
 */
export type DecisionCause = 'named' | 'direct' | 'share' | 'session' | 'stand-in' | 'none-ready' | 'none-exists'

export interface RouteDecision {
  /** Null: a deployment was asked for by its own name. */
  readonly route: RouteName | null
  readonly strategy: 'none' | RouteRecord['policy']['kind']
  /** Whose answer the client gets. Null: none exists, or the request was refused. */
  readonly deployment: DeploymentName | null
  /** Of a route with several steps: that of the last one decided. */
  readonly cause: DecisionCause | StepCause
  /** What kept this request with others; never its value. */
  readonly session: SessionSource
  /** What a score had to reach; null where none had to. */
  readonly threshold: number | null
  readonly candidates: readonly WeighedCandidate[]
  /** Of a route that takes several, in the order in which they were decided. */
  readonly steps?: readonly StepRecord[]
}

/** One step of a route that takes several: what was decided about it, and why. */
export interface StepRecord {
  readonly deployment: DeploymentName
  readonly action: StepAction
  readonly cause: StepCause
  /** Null: there was none. */
  readonly score: number | null
  readonly threshold: number | null
  /** Whether a calibrated error rate is about this answer. */
  readonly isGuaranteed: boolean
  /** From asking it to its answer, and from asking the judge to the score; null: not asked, or not over yet. */
  readonly answerMs: number | null
  readonly judgeMs: number | null
}

/** `keep`: its answer is the client's. `escalate`: the next one is asked. `reprompt`: the same one is asked again. */
export type StepAction = 'keep' | 'escalate' | 'refuse' | 'reprompt'
export type StepCause = CascadeCause | RiskCause

export interface Asked {
  readonly tenant: TenantId
  readonly key: SessionKey
}

/** Whom a route names, before anybody looked how they stand. */
export function targetsOf({ policy }: RouteRecord): readonly Omit<Candidate, 'standing'>[] {
  switch (policy.kind) {
    case 'direct':
      return [{ deployment: policy.deployment, weight: 1 }]
    case 'weighted':
      return policy.targets
    case 'risk':
      // Where the risk is high another one answers; whom it is asked of first is no matter of shares either.
      return [{ deployment: policy.deployment, weight: 1 }]
    case 'cascade':
      // Each may answer; which of them does is no matter of shares (`cascade.ts`).
      return policy.steps.map(({ deployment }) => ({ deployment, weight: 1 }))
    default:
      return policy satisfies never
  }
}

/** `candidates`: the route's targets, and how each stands. */
export function decideRoute(record: RouteRecord, candidates: readonly Candidate[], asked: Asked): RouteDecision {
  const scored = candidates.map((candidate) => ({ ...candidate, score: scoreOf(record.route, candidate, asked) }))
  const existing = scored.filter(({ standing, weight }) => standing !== 'unknown' && weight > 0)
  const able = existing.filter(({ standing }) => standing !== 'unready')
  const pool = able.length > 0 ? able : existing
  const chosen = highest(pool)
  const total = pool.reduce((sum, { weight }) => sum + weight, 0)
  return {
    route: record.route,
    strategy: record.policy.kind,
    deployment: chosen?.deployment ?? null,
    cause: causeOf(),
    session: asked.key.source,
    threshold: null,
    candidates: scored.map((each) => ({ ...each, share: pool.includes(each) ? each.weight / total : 0 })),
  }

  function causeOf(): DecisionCause {
    if (chosen === null) return 'none-exists'
    if (able.length === 0) return 'none-ready'
    if (record.policy.kind === 'direct') return 'direct'
    if (chosen !== highest(scored)) return 'stand-in'
    return asked.key.source === 'request' ? 'share' : 'session'
  }
}

/** For a deployment's own name the same record as for a route's. */
export function namedDecision(deployment: DeploymentName): RouteDecision {
  return {
    route: null,
    strategy: 'none',
    deployment,
    cause: 'named',
    session: 'request',
    threshold: null,
    candidates: [],
  }
}

/** For a request to a route that takes several steps, after so many of them. */
export function stagedDecision(
  { route, policy }: RouteRecord,
  chosen: { deployment: DeploymentName | null; steps: readonly StepRecord[]; fallback: StepCause },
): RouteDecision {
  const last = chosen.steps.at(-1)
  return {
    route,
    strategy: policy.kind,
    deployment: chosen.deployment,
    cause: last?.cause ?? chosen.fallback,
    session: 'request',
    threshold: chosen.steps.findLast(({ threshold }) => threshold !== null)?.threshold ?? null,
    candidates: [],
    steps: chosen.steps,
  }
}

/** The share of the deployment that was chosen; 1 where there was no choice. */
export function shareOf({ deployment, candidates }: RouteDecision): number {
  return candidates.find((candidate) => candidate.deployment === deployment)?.share ?? 1
}

type Scored = Candidate & { readonly score: number }

function highest(scored: readonly Scored[]): Scored | null {
  return scored.reduce<Scored | null>(
    (best, each) => (each.weight > 0 && each.score > (best?.score ?? 0) ? each : best),
    null,
  )
}

/** With u even over (0, 1), -ln(u) / weight is an exponential wait of that rate; who waits least wins, with the chance of its weight. */
function scoreOf(route: RouteName, { deployment, weight }: Candidate, { tenant, key }: Asked): number {
  if (weight === 0) return 0
  // Names and tenants hold no NUL, so no two different lists of them look alike.
  const digest = hash('sha256', [route, deployment, tenant, key.value].join('\0'), 'buffer')
  const unit = (digest.readUIntBE(0, hashBytes) + 0.5) / 2 ** (8 * hashBytes)
  return weight / -Math.log(unit)
}

/** As much as a number holds exactly. */
const hashBytes = 6
