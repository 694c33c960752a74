/**
 * What workers and routers say over NATS, folded to the newest of each: reports, registrations, demand.
 *
 * Sole writer of that picture. Only what changes a decision is announced (a worker's state, a registration); the 200 ms reports
 * otherwise pass in silence. Instants are of our own clock, at arrival.
 */
import { isWorkerReport } from '#contracts/checks/workerReport.ts'
import { Failure } from '#contracts/failure.ts'
import type { DeploymentName, RouterId, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { RouterReport, WorkerReport } from '#contracts/messages.ts'
import { WorkerRecord } from '#contracts/records.ts'
import { subjects } from '#contracts/subjects.ts'
import type { Bus } from '#runtime/bus.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { decode, decodeChecked } from '#runtime/messages.ts'
import { addCounts, demandOf, type HeardRouter } from './core/demand.ts'
import type { Demand, DemandSample } from './core/observed.ts'

export interface Heard {
  readonly report: WorkerReport
  readonly heardAt: number
  /** Null: it is not ready. */
  readonly readySince: number | null
}

export class Reports {
  readonly #clock: Clock
  readonly #log: Log
  readonly #workers = new Map<WorkerId, Heard>()
  readonly #registrations = new Map<string, WorkerRecord>()
  readonly #routers = new Map<RouterId, HeardRouter>()
  readonly #samples = new Map<DeploymentName, readonly DemandSample[]>()
  readonly #onChange: (name: DeploymentName) => void
  readonly #onHeld: (name: DeploymentName) => void
  #connectedSince: number | null = null

  /** `onHeld`: requests wait for a deployment that has no worker. */
  constructor(options: {
    clock: Clock
    log: Log
    onChange: (name: DeploymentName) => void
    onHeld?: (name: DeploymentName) => void
  }) {
    this.#clock = options.clock
    this.#log = options.log
    this.#onChange = options.onChange
    this.#onHeld = options.onHeld ?? (() => undefined)
  }

  async attach(bus: Bus): Promise<void> {
    this.#connectedSince = bus.state === 'connected' ? this.#clock.now() : null
    bus.onState((state) => {
      this.#connectedSince = state === 'connected' ? this.#clock.now() : null
    })
    bus.subscribe(subjects.allReports, (payload) =>
      this.#understood(() => this.#fold(decodeChecked(isWorkerReport, WorkerReport, payload))),
    )
    bus.subscribe(subjects.allRouterReports, (payload) =>
      this.#understood(() => this.#foldRouter(decode(RouterReport, payload))),
    )
    await bus.watch('workers', {
      entry: ({ key, value }) => {
        if (value === null) this.#registrations.delete(key)
        else this.#understood(() => this.#register(key, decode(WorkerRecord, value)))
      },
      synced: () => undefined,
    })
  }

  get busConnectedSince(): number | null {
    return this.#connectedSince
  }

  of(worker: WorkerId): Heard | null {
    return this.#workers.get(worker) ?? null
  }

  registrationOf(worker: WorkerId): WorkerRecord | null {
    return this.#registrations.get(worker) ?? null
  }

  /** `workers`: those of the deployment, as its platform knows them. */
  demandOf(deployment: DeploymentName, workers: readonly { readonly worker: WorkerId }[]): Demand {
    let slotsBusy = 0
    for (const { worker } of workers) {
      const slots = this.#workers.get(worker)?.report.slots
      if (slots !== undefined) slotsBusy += slots.busy + slots.waiting
    }
    const facts = { routers: [...this.#routers.values()], samples: this.#samples.get(deployment) ?? [], slotsBusy }
    return demandOf(deployment, facts, this.#clock.now())
  }

  /** Nothing of the deployment is left. */
  forget(deployment: DeploymentName): void {
    this.#samples.delete(deployment)
  }

  /** The worker has ended: nothing it said counts any more. */
  drop(worker: WorkerId): void {
    this.#workers.delete(worker)
    this.#registrations.delete(worker)
  }

  #foldRouter(report: RouterReport): void {
    const now = this.#clock.now()
    const before = this.#routers.get(report.router)
    for (const said of report.deployments) {
      const { deployment } = said
      const samples = this.#samples.get(deployment) ?? []
      const waiting = before?.deployments.get(deployment)?.queued ?? 0
      this.#samples.set(deployment, addCounts(samples, said, { now, waiting }))
    }
    const deployments = new Map(report.deployments.map((said) => [said.deployment, said]))
    this.#routers.set(report.router, { heardAt: now, deployments })
    for (const [router, { heardAt }] of this.#routers)
      if (now - heardAt >= limits.operator.routerForgottenMs) this.#routers.delete(router)
    for (const { deployment, held } of report.deployments) if (held > 0) this.#onHeld(deployment)
  }

  #fold(report: WorkerReport): void {
    const now = this.#clock.now()
    const before = this.#workers.get(report.worker)
    if (before !== undefined && report.number <= before.report.number) return
    if (before === undefined) this.#prune(now)
    const readySince = report.state === 'ready' ? (before?.readySince ?? now) : null
    this.#workers.set(report.worker, { report: kept(report), heardAt: now, readySince })
    if (before?.report.state !== report.state) this.#onChange(report.deployment)
  }

  /** A report may arrive after its worker's end was seen; it must not stay for ever. */
  #prune(now: number): void {
    for (const [worker, { heardAt }] of this.#workers)
      if (now - heardAt > 2 * limits.operator.silenceMs) this.#workers.delete(worker)
  }

  #register(key: string, record: WorkerRecord): void {
    const before = this.#registrations.get(key)
    this.#registrations.set(key, record)
    if (JSON.stringify(before) !== JSON.stringify(record)) this.#onChange(record.deployment)
  }

  #understood(take: () => void): void {
    try {
      take()
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      // Another version's message, or a damaged one: this operator cannot use it, and nothing else depends on it.
      this.#log.warn({ error }, 'a report is not understood and ignored')
    }
  }
}

/** What only routers read of a report is most of its size, and thousands of them are held. */
function kept({ costCurve: _costCurve, ...report }: WorkerReport): WorkerReport {
  return { ...report, prefixes: [] }
}
