/** Routes that take several steps, each kind carried out by its own strategy. */
import type { RouteName } from '#contracts/ids.ts'
import type { Log } from '#runtime/log.ts'
import { type CascadeOptions, Cascades } from './cascade.ts'
import type { RequestHandle } from './request.ts'
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
  /** Whose client still waits for somebody to be chosen: an answer that is being checked has no request of its own under way. */
  readonly #undecided = new Set<StagedRequest>()

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

  /** Requests for which nobody's answer was chosen yet. */
  get undecided(): number {
    return this.#undecided.size
  }

  /** What it returns is for a client that leaves. */
  run(route: StagedRecord, given: StagedRequest): RequestHandle {
    const end = () => this.#undecided.delete(given)
    this.#undecided.add(given)
    this.#begin(route, {
      ...given,
      answer: (decided, understood) => {
        end()
        return given.answer(decided, understood)
      },
      fail: (decided, failure) => {
        end()
        given.fail(decided, failure)
      },
      threw: (error) => {
        end()
        given.threw(error)
      },
    })
    return {
      cancel: () => {
        end()
        given.inner.cancel()
      },
    }
  }

  /** The route is gone, and what its requests shared with it. */
  forget(route: RouteName): void {
    this.#cascades.forget(route)
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

  #begin(route: StagedRecord, request: StagedRequest): void {
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
}
