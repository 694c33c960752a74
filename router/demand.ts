/**
 * What this router tells the operator of its demand: every second, and at once where somebody waits for a worker to be started.
 */
import type { DeploymentName, RouterId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { subjects } from '#contracts/subjects.ts'
import type { Bus } from '#runtime/bus.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import { encode } from '#runtime/messages.ts'
import type { Depth, RequestMeter } from './metrics.ts'

export interface DemandOptions {
  readonly router: RouterId
  readonly bus: Bus
  readonly clock: Clock
  readonly meter: RequestMeter
  readonly deployments: () => readonly DeploymentName[]
  readonly depth: (of: DeploymentName) => Depth
}

export class Demand {
  readonly #o: DemandOptions
  #timer: Timer | null = null
  /** A report out of turn is under way. */
  #hurried: Timer | null = null
  #reportedAt: number

  constructor(options: DemandOptions) {
    this.#o = options
    this.#reportedAt = options.clock.now()
  }

  start(): void {
    this.#timer = this.#o.clock.every(limits.router.reportIntervalMs, () => this.#report())
  }

  stop(): void {
    this.#timer?.cancel()
    this.#hurried?.cancel()
    this.#hurried = null
  }

  /** The operator hears of it now, not at the next full second. */
  reportSoon(): void {
    if (this.#hurried !== null) return
    const { clock } = this.#o
    const waitMs = Math.max(0, this.#reportedAt + limits.router.heldReportMs - clock.now())
    this.#hurried = clock.after(waitMs, () => {
      this.#hurried = null
      this.#report()
    })
  }

  #report(): void {
    const { router, bus, clock, meter, deployments, depth } = this.#o
    if (bus.state !== 'connected') return
    const now = clock.now()
    const seconds = Math.max(1, now - this.#reportedAt) / 1_000
    const report = { router, deployments: meter.report(deployments(), depth, seconds) }
    this.#reportedAt = now
    bus.publish(subjects.routerReport(router), encode(report))
  }
}
