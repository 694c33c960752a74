/**
 * Everything of a worker that has to do with experts, put together: who takes turns, what is in memory, who answers for the gate, and
 * what the registration says of them. Without experts all of it is there and does nothing.
 */
import type { WorkerReport } from '#contracts/messages.ts'
import type { WorkerRecord } from '#contracts/records.ts'
import type { Bus } from '#runtime/bus.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { ExpertMemory, type ExpertMemoryOptions } from './expertMemory.ts'
import { ExpertMeter } from './expertMeter.ts'
import type { ExpertSupplies } from './expertSupplies.ts'
import { ExpertTurns, type ExpertTurnsOptions } from './expertTurns.ts'
import { GateService } from './gateService.ts'
import type { WorkerMetrics } from './meter.ts'
import type { ModelRunner } from './modelRunner.ts'

/** Measurements put other rules beside ours. */
export type ExpertRules = Pick<ExpertTurnsOptions, 'decideTurn'> & Pick<ExpertMemoryOptions, 'planResidence'>

export interface WorkerExpertsOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly log: Log
  readonly metrics: WorkerMetrics
  /** The deployment, as metrics name it. */
  readonly model: string
  readonly runner: ModelRunner
  readonly supplies: ExpertSupplies
  readonly rules?: ExpertRules
  /** There is something to do for the engine. */
  readonly onLoaded: () => void
  /** What the registration says has changed. */
  readonly onRefused: () => void
}

interface InUse {
  /** Experts whose requests hold slots, and wait for one. */
  readonly running: readonly (string | null)[]
  readonly waiting: readonly (string | null)[]
}

export class WorkerExperts {
  /** null where the pair has no experts. */
  readonly turns: ExpertTurns | null
  readonly gate: GateService
  readonly #supplies: ExpertSupplies
  readonly #memory: ExpertMemory
  readonly #meter: ExpertMeter

  constructor(options: WorkerExpertsOptions) {
    const { bus, clock, runner, supplies, metrics, model, rules = {}, onLoaded } = options
    const { files, refused, gate } = supplies
    this.#supplies = supplies
    this.#meter = new ExpertMeter(metrics, { model_name: model, engine: runner.info.kind })
    this.#memory = new ExpertMemory({ ...options, ...rules, experts: runner.experts, meter: this.#meter })
    const turns = { ...rules, memory: this.#memory, clock, meter: this.#meter, onEnded: onLoaded }
    const hasExperts = files.length > 0 || refused.length > 0
    this.turns = hasExperts ? new ExpertTurns(turns) : null
    if (hasExperts) this.#meter.begin(supplies.loadsMs)
    this.gate = new GateService({ bus, runner, gate, isUsable: (expert) => this.#memory.isUsable(expert) })
  }

  /** For reports. */
  get report(): Pick<WorkerReport, 'experts' | 'expertLoadMs'> {
    const { resident, loadMs } = this.#memory
    return { experts: [...resident], ...(loadMs === null ? {} : { expertLoadMs: loadMs }) }
  }

  setGauges(inUse: InUse): void {
    if (this.turns === null) return
    const { bytes, usable, refused } = this.#memory
    this.#meter.gauges({ bytes, usable: usable.length, refused, ...inUse })
  }

  /** For the registration. */
  state(): Pick<WorkerRecord, 'experts'> {
    if (this.turns === null) return {}
    const { usable, refused } = this.#memory
    const { gate, refused: atStart } = this.#supplies
    const gateRefusals = atStart.filter(({ expert }) => expert === null)
    return {
      experts: { usable, refused: [...refused, ...gateRefusals], gate: gate === null ? null : { sha256: gate.sha256 } },
    }
  }
}
