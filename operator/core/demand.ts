/**
 * What routers report, folded into the demand for one deployment. Pure: values in, values out, bounded.
 *
 * A report says everything that its router has: a deployment that is not in it has no demand there. Counts are gathered into samples
 * of equal length, so that the last minutes take the same room however often routers speak.
 */
import { merge } from '#algorithms/waitHistogram.ts'
import type { DeploymentName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { RouterReport } from '#contracts/messages.ts'
import type { Demand, DemandSample } from './observed.ts'

export type DeploymentDemand = RouterReport['deployments'][number]

export interface HeardRouter {
  readonly heardAt: number
  readonly deployments: ReadonlyMap<DeploymentName, DeploymentDemand>
}

/** Adds one router's counts to the samples of a deployment; `waiting` is what waited before it came. */
export function addCounts(
  samples: readonly DemandSample[],
  said: DeploymentDemand,
  { now, waiting }: { now: number; waiting: number },
): readonly DemandSample[] {
  const last = samples.at(-1)
  const isOpen = last !== undefined && now - last.at < limits.operator.demandSampleMs
  const open = isOpen ? last : { at: now, waiting, offered: 0, met: 0, waits: [] }
  const added = {
    ...open,
    offered: open.offered + said.offered,
    met: open.met + said.met,
    waits: merge([open.waits, said.queueWaits]),
  }
  return [...(isOpen ? samples.slice(0, -1) : samples), added].slice(-limits.operator.demandSamplesMax)
}

export function demandOf(
  deployment: DeploymentName,
  facts: {
    readonly routers: readonly HeardRouter[]
    readonly samples: readonly DemandSample[]
    readonly slotsBusy: number
  },
  now: number,
): Demand {
  const speaking = facts.routers.filter(({ heardAt }) => now - heardAt < limits.worker.goneAfterMs)
  const silent = facts.routers.filter(({ heardAt }) => now - heardAt >= limits.worker.goneAfterMs)
  const isForgotten = ({ heardAt }: HeardRouter) => now - heardAt >= limits.operator.routerForgottenMs
  const said = speaking.flatMap(({ deployments }) => deployments.get(deployment) ?? [])
  const sum = (value: (demand: DeploymentDemand) => number) => said.reduce((total, each) => total + value(each), 0)
  const heardMs = limits.operator.demandSampleMs * limits.operator.demandSamplesMax
  return {
    freshness: speaking.length === 0 ? 'stale' : silent.every(isForgotten) ? 'fresh' : 'partial',
    waiting: sum(({ queued }) => queued),
    held: sum(({ held }) => held),
    running: sum(({ running }) => running),
    slotsBusy: facts.slotsBusy,
    samples: facts.samples.filter(({ at }) => now - at < heardMs),
  }
}

/** Requests per second within their SLO, lately; null: no router has said anything. */
export function goodputOf({ freshness, samples }: Demand, now: number): number | null {
  if (freshness === 'stale') return null
  const recent = samples.filter(({ at }) => now - at <= recentMs)
  const seconds = Math.max(recentMs / 2, now - (recent[0]?.at ?? now)) / 1_000
  return recent.reduce((sum, { met }) => sum + met, 0) / seconds
}
const recentMs = 10_000
