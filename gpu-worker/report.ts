/**
 * How this worker stands, told to everybody: a report every 200 ms and soon after each change, and the registration in the KV
 * bucket, refreshed before it runs out. Only this writes the worker's own registration.
 *
 * Reports are fire and forget; only the newest counts. At the end: a last report `stopped`, then the registration is removed.
 */
import type { WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { WorkerReport } from '#contracts/messages.ts'
import type { WorkerRecord } from '#contracts/records.ts'
import { subjects } from '#contracts/subjects.ts'
import type { Bus, Subscription } from '#runtime/bus.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { encode } from '#runtime/messages.ts'

export type WorkerState = WorkerReport['state']

export interface ReporterOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly log: Log
  readonly worker: WorkerId
  readonly report: () => Omit<WorkerReport, 'number'>
  readonly record: () => WorkerRecord
  /** Called before each regular report: gauges are set at the same pace. */
  readonly onTick: () => void
}

export class Reporter {
  readonly #o: ReporterOptions
  readonly #timers: Timer[] = []
  #stateChanges: Subscription | null = null
  #soon: Timer | null = null
  #number = 0
  #sentAt = Number.NEGATIVE_INFINITY
  #isStopped = false

  constructor(options: ReporterOptions) {
    this.#o = options
  }

  start(): void {
    const { bus, clock } = this.#o
    this.#timers.push(
      clock.every(limits.worker.reportIntervalMs, () => this.#tick()),
      clock.every(limits.worker.registrationRefreshMs, () => this.register()),
    )
    this.#stateChanges = bus.onState((state) => {
      if (state === 'connected') this.register()
    })
    this.register()
    this.#tick()
  }

  /** Something changed: a report follows within `reportCoalesceMs`. */
  poke(): void {
    if (this.#soon !== null || this.#isStopped) return
    const sinceMs = this.#o.clock.now() - this.#sentAt
    const waitMs = Math.max(0, limits.worker.reportCoalesceMs - sinceMs)
    this.#soon = this.#o.clock.after(waitMs, () => this.#send())
  }

  /** The registration as it is now. Failing is no drama: it is tried again, and reports alone keep the worker known. */
  register(): void {
    const { bus, worker, log, record } = this.#o
    if (this.#isStopped) return
    bus.put('workers', worker, encode(record())).then(
      () => this.#removeLate(),
      (error: unknown) => log.warn({ error }, 'registration not written; trying again'),
    )
  }

  async stop(): Promise<void> {
    const { bus, worker, log } = this.#o
    this.#send()
    this.#isStopped = true
    this.#stateChanges?.unsubscribe()
    for (const timer of this.#timers.splice(0)) timer.cancel()
    try {
      await bus.remove('workers', worker)
      await bus.flush()
    } catch (error) {
      log.warn({ error }, 'registration not removed; it runs out by itself')
    }
  }

  /** A refresh that was under way when the worker stopped must not bring it back. */
  #removeLate(): void {
    if (!this.#isStopped) return
    const { bus, worker, log } = this.#o
    bus.remove('workers', worker).catch((error: unknown) => log.warn({ error }, 'registration not removed'))
  }

  #tick(): void {
    this.#o.onTick()
    this.#send()
  }

  #send(): void {
    const { bus, clock, report } = this.#o
    this.#soon?.cancel()
    this.#soon = null
    if (this.#isStopped || bus.state === 'closed') return
    const message: WorkerReport = { ...report(), number: this.#number++ }
    this.#sentAt = clock.now()
    bus.publish(subjects.report(message.deployment, message.worker), encode(message))
  }
}
