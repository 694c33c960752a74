/**
 * The autoscaler's shell: keeps its state per deployment, asks it when the clock or a held request says so, and tells whom its
 * answer changes. Decides nothing (`core/scale.ts` does). States live in memory: an operator that starts anew begins with the
 * workers that are there, and with full windows.
 */
import type { DeploymentName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { replicasWanted, type ScaleView } from './core/observed.ts'
import { decideScale, firstState, type ScaleDecision, type ScaleInput, type ScaleState } from './core/scale.ts'
import { scaleView } from './core/scaleView.ts'
import type { Platform, PlatformView } from './platform.ts'
import type { Reports } from './reports.ts'

export interface ScalerOptions {
  readonly platform: Platform
  readonly reports: Reports
  readonly clock: Clock
  readonly log: Log
  /** Another number of workers is wanted, or something else is to be said about it. */
  readonly onChange: (name: DeploymentName) => void
}

interface Kept {
  readonly state: ScaleState
  readonly view: ScaleView
}

export class Scaler {
  readonly #options: ScalerOptions
  readonly #kept = new Map<DeploymentName, Kept>()

  constructor(options: ScalerOptions) {
    this.#options = options
  }

  /** Looks at all scaled deployments from now on; it knows of them by their first reconcile. */
  start(): Timer {
    return this.#options.clock.every(limits.operator.scaleIntervalMs, () => {
      for (const name of this.#kept.keys()) this.look(name)
    })
  }

  /** Decides anew; `onChange` where that changes anything. */
  look(name: DeploymentName): void {
    const view = this.#options.platform.view(name)
    const before = this.#kept.get(name)
    const decision = this.#decide(name, view)
    if (decision === null) {
      this.#kept.delete(name)
      return
    }
    const said = scaleView(decision, before?.view ?? null, before?.state.replicas ?? null)
    this.#kept.set(name, { state: decision.state, view: said })
    if (before !== undefined && before.state.replicas === decision.replicas && before.view === said) return
    if (before !== undefined && before.state.replicas !== decision.replicas)
      this.#options.log.info(
        { deployment: name, from: before.state.replicas, to: decision.replicas, reason: decision.reason },
        'scaling',
      )
    this.#options.onChange(name)
  }

  /** Workers wanted now, and what there is to say about it; null: the number is fixed. */
  wanted(name: DeploymentName, view: PlatformView): { replicas: number; scaling: ScaleView | null } {
    const { desired } = view
    if (desired === null) return { replicas: 0, scaling: null }
    if (desired.spec.scaling === undefined) return { replicas: replicasWanted(desired.spec), scaling: null }
    if (!this.#kept.has(name)) this.#first(name, view)
    const kept = this.#kept.get(name)
    if (kept === undefined) return { replicas: replicasWanted(desired.spec), scaling: null }
    const { minReplicas, maxReplicas } = desired.spec.scaling
    // Bounds that have just been moved hold before the next look.
    return { replicas: Math.min(maxReplicas, Math.max(minReplicas, kept.state.replicas)), scaling: kept.view }
  }

  #first(name: DeploymentName, view: PlatformView): void {
    const decision = this.#decide(name, view)
    if (decision !== null) this.#kept.set(name, { state: decision.state, view: scaleView(decision, null, null) })
  }

  #decide(name: DeploymentName, view: PlatformView): ScaleDecision | null {
    const input = this.#inputFor(name, view)
    if (input === null) return null
    const now = this.#options.clock.now()
    const before = this.#kept.get(name)?.state ?? firstState(input, firstReplicas(view), now)
    return decideScale(input, before, now)
  }

  #inputFor(name: DeploymentName, { desired, workers }: PlatformView): ScaleInput | null {
    if (desired?.spec.scaling === undefined) return null
    const { reports } = this.#options
    const heard = workers.flatMap(({ worker, drainAskedAt }) =>
      drainAskedAt === null ? (reports.of(worker) ?? []) : [],
    )
    const ready = heard.filter(({ report }) => report.state === 'ready')
    const slots = ready.map(({ report }) => report.slots.total)
    return {
      scaling: desired.spec.scaling,
      slo: desired.spec.slo,
      demand: reports.demandOf(name, workers),
      ready: ready.length,
      slotsPerWorker: slots.length === 0 ? desired.spec.engine.slots : Math.max(...slots),
    }
  }
}

/** The workers that are there. Advice alone never wakes a pair, so it begins awake. */
function firstReplicas({ desired, workers }: PlatformView): number {
  const alive = workers.filter(({ drainAskedAt }) => drainAskedAt === null).length
  return desired?.spec.scaling?.mode === 'advisory' ? Math.max(1, alive) : alive
}
