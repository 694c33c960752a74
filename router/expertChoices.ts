/**
 * Settles which expert computes a job before it is queued: the one that the client named, the one that the pair's gate says, or none.
 * Leaves the record of that in metrics and log; decides nothing itself.
 */
import type { DeploymentName } from '#contracts/ids.ts'
import { baseExpert } from '#contracts/resources/modelDeployment.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import type { Gates } from './gates.ts'
import type { RouterMetrics } from './metrics.ts'
import type { ExpertChoice, Job } from './request.ts'

export interface ExpertChoicesOptions {
  readonly gates: Gates
  readonly clock: Clock
  readonly log: Log
  readonly metrics: RouterMetrics
  /** Each choice is worth a line like each request. */
  readonly accessLog: boolean
}

export class ExpertChoices {
  readonly #o: ExpertChoicesOptions

  constructor(options: ExpertChoicesOptions) {
    this.#o = options
  }

  /** Calls `go` once, perhaps before it returns; the request may have ended meanwhile. */
  settle(job: Job, go: () => void): void {
    const { expert: wish } = job.request.routed
    switch (wish?.kind) {
      case undefined:
      case 'none':
        return go()
      case 'named':
        this.#chosen(job, { expert: wish.expert, cause: 'named', probability: null })
        return go()
      case 'gate':
        return this.#gated(job, this.#o.clock.now(), go)
      default:
        return wish satisfies never
    }
  }

  #gated(job: Job, askedAt: number, go: () => void): void {
    const { model, tenant } = job.request.routed
    const { gates, clock, metrics } = this.#o
    gates.choose({ model, tenant, work: job.work }, (choice) => {
      if (choice.cause === 'gated')
        metrics.gateSeconds.observe({ model: model.deployment }, (clock.now() - askedAt) / 1_000)
      this.#chosen(job, choice)
      go()
    })
  }

  #chosen(job: Job, choice: ExpertChoice): void {
    const { routed } = job.request
    const { metrics, log, accessLog } = this.#o
    job.expert = choice.expert
    metrics.expertRequests.inc(labelsOf(routed.model.deployment, choice))
    log[accessLog ? 'info' : 'debug'](
      { request: routed.id, model: routed.model.deployment, ...choice },
      'expert chosen',
    )
    routed.onExpert?.(choice)
  }
}

const labelsOf = (model: DeploymentName, { expert, cause }: ExpertChoice) => ({
  model,
  expert: expert ?? baseExpert,
  cause,
})
