/**
 * Requests that are held: their deployment sleeps (it has no worker, and scales from zero), and one is being started for them.
 *
 * They wait in the queue of their lane like all others, within its bounds; here is only which of them are held, since when, and
 * how that ends. Says at once when a deployment begins to hold, because the operator is to start a worker now.
 */
import { Failure } from '#contracts/failure.ts'
import type { DeploymentName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelRecord } from '#contracts/records.ts'
import type { Clock } from '#runtime/clock.ts'
import type { HoldEnd } from './metrics.ts'
import type { Job } from './request.ts'

export interface HoldEvents {
  readonly began: (deployment: DeploymentName) => void
  readonly ended: (deployment: DeploymentName, how: HoldEnd, heldMs: number) => void
}

export const holdsFromZero = (model: ModelRecord) => model.scaling?.fromZero === true

export class Holds {
  readonly #events: HoldEvents
  readonly #clock: Clock
  readonly #since = new Map<Job, number>()

  constructor(events: HoldEvents, clock: Clock) {
    this.#events = events
    this.#clock = clock
  }

  begin(job: Job): void {
    this.#since.set(job, this.#clock.now())
    this.#events.began(job.request.routed.model.deployment)
  }

  /** Does nothing for a job that was not held, and next to nothing while none is: every request passes here. */
  end(job: Job, how: HoldEnd): void {
    if (this.#since.size === 0) return
    const since = this.#since.get(job)
    if (since === undefined) return
    this.#since.delete(job)
    this.#events.ended(job.request.routed.model.deployment, how, this.#clock.now() - since)
  }
}

export function isHeldTooLong({ request: { routed }, expiresAt }: Job, now: number): boolean {
  const { scaling } = routed.model
  if (scaling?.fromZero !== true) return false
  return now >= expiresAt || now - routed.arrivedAt >= scaling.holdMsMax
}

export function heldTooLong({ request: { routed } }: Job, now: number): Failure {
  const { deployment } = routed.model
  const message = `${deployment} was scaled to zero; the request was held for ${Math.round(now - routed.arrivedAt)} ms and no worker was up by then; try again, or allow more time with x-paceline-deadline-ms`
  return new Failure('no-worker', message, { retry: { kind: 'after', afterMs: limits.queue.heldRetryAfterMs } })
}
