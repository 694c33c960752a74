/** Routes that take several steps, each kind carried out by its own strategy. */
import type { Log } from '#runtime/log.ts'
import { type CascadeOptions, Cascades } from './cascade.ts'
import { type RiskChecker, ThreadChecker } from './riskChecker.ts'
import { type RiskOptions, RiskRoutes } from './riskRoute.ts'
import type { Decided } from './routing.ts'
import type { StagedRecord, StagedRequest } from './staged.ts'
import type { TrafficLog } from './trafficLog.ts'

/** What risk routes need of the machine; both absent in tests that have none. */
export interface RiskParts {
  /** Absent: a thread is started when the first answer is to be checked. */
  readonly checker?: RiskChecker
  /** Absent: nothing is kept, whatever a route asks for. */
  readonly traffic?: Pick<TrafficLog, 'keep'>
}

type StagedOptions = CascadeOptions & Omit<RiskOptions, keyof RiskParts> & RiskParts & { readonly log: Log }

export class StagedRoutes {
  readonly #cascades: Cascades
  readonly #risks: RiskRoutes
  readonly #checker: RiskChecker

  constructor(options: StagedOptions) {
    const { clock, log, metrics, traffic = null } = options
    const onLate = () => metrics.riskLateChecks.inc({})
    this.#checker = options.checker ?? new ThreadChecker({ clock, log, onLate })
    this.#cascades = new Cascades(options)
    this.#risks = new RiskRoutes({ ...options, checker: this.#checker, traffic })
  }

  stop(): void {
    this.#checker.close()
  }

  run(route: StagedRecord, request: StagedRequest): void {
    const { policy } = route
    switch (policy.kind) {
      case 'cascade':
        this.#cascades.run({ ...route, policy }, request)
        return
      case 'risk':
        this.#risks.run({ ...route, policy }, request)
        return
      default:
        policy satisfies never
    }
  }

  explain(route: StagedRecord): Decided {
    const { policy } = route
    switch (policy.kind) {
      case 'cascade':
        return this.#cascades.explain({ ...route, policy })
      case 'risk':
        return this.#risks.explain({ ...route, policy })
      default:
        return policy satisfies never
    }
  }
}
