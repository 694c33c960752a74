/** How deployments stand now, for whoever has to choose between them: read from the registry, the workers' reports and the queues. */
import type { DeploymentName } from '#contracts/ids.ts'
import type { ModelRecord } from '#contracts/records.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Standby } from './core/nextStep.ts'
import type { Standing } from './core/route.ts'
import type { Worker, WorkerTable } from './core/workers.ts'
import { holdsFromZero } from './holds.ts'
import type { Lanes } from './lanes.ts'
import type { RequestMeter } from './metrics.ts'
import type { Registry } from './registry.ts'

export class Deployments {
  readonly #registry: Registry
  readonly #workers: WorkerTable
  readonly #lanes: Lanes
  readonly #meter: RequestMeter
  readonly #clock: Clock

  constructor(options: { registry: Registry; workers: WorkerTable; lanes: Lanes; meter: RequestMeter; clock: Clock }) {
    this.#registry = options.registry
    this.#workers = options.workers
    this.#lanes = options.lanes
    this.#meter = options.meter
    this.#clock = options.clock
  }

  /** Undefined: there is no such deployment. */
  record(deployment: string): ModelRecord | undefined {
    return this.#registry.deployment(deployment)
  }

  standing(deployment: string): Standing {
    const record = this.record(deployment)
    if (record === undefined) return 'unknown'
    if (this.#live(record.deployment).length > 0) return 'ready'
    return this.#isAsleep(record) ? 'asleep' : 'unready'
  }

  standby(record: ModelRecord): Standby {
    const { deployment } = record
    return {
      live: this.#live(deployment),
      waiting: this.#lanes.depth(deployment).requests,
      serviceMs: this.#meter.serviceMs(deployment),
      isAsleep: this.#isAsleep(record),
    }
  }

  #live(deployment: DeploymentName): readonly Worker[] {
    const now = this.#clock.now()
    return this.#workers.of(deployment).filter((worker) => this.#workers.standing(worker, now) === 'live')
  }

  #isAsleep(record: ModelRecord): boolean {
    return this.#workers.of(record.deployment).length === 0 && holdsFromZero(record)
  }
}
