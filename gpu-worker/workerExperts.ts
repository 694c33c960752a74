/**
 * Everything of a worker that has to do with experts, put together: who takes turns, who answers for the gate, and what the
 * registration says of both. Without experts all of it is there and does nothing.
 */
import type { WorkerRecord } from '#contracts/records.ts'
import type { Bus } from '#runtime/bus.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import type { ExpertSupplies } from './expertSupplies.ts'
import { ExpertTurns } from './expertTurns.ts'
import { GateService } from './gateService.ts'
import type { ModelRunner } from './modelRunner.ts'

export interface WorkerExpertsOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly log: Log
  readonly runner: ModelRunner
  readonly supplies: ExpertSupplies
  /** There is something to do for the engine. */
  readonly onLoaded: () => void
  /** What the registration says has changed. */
  readonly onRefused: () => void
}

export class WorkerExperts {
  /** null where the pair has no experts. */
  readonly turns: ExpertTurns | null
  readonly gate: GateService
  readonly #supplies: ExpertSupplies

  constructor({ bus, runner, supplies, ...rest }: WorkerExpertsOptions) {
    const { files, refused, gate } = supplies
    this.#supplies = supplies
    const hasExperts = files.length > 0 || refused.length > 0
    this.turns = hasExperts ? new ExpertTurns({ ...rest, supplies, experts: runner.experts }) : null
    this.gate = new GateService({ bus, runner, gate, isUsable: (expert) => this.turns?.isUsable(expert) ?? false })
  }

  /** Loaded now, the one used last at the end. */
  get resident(): string[] {
    return [...(this.turns?.resident ?? [])]
  }

  /** For the registration. */
  state(): Pick<WorkerRecord, 'experts'> {
    if (this.turns === null) return {}
    const { usable, refused } = this.turns.state
    const { gate, refused: atStart } = this.#supplies
    const gateRefusals = atStart.filter(({ expert }) => expert === null)
    return {
      experts: { usable, refused: [...refused, ...gateRefusals], gate: gate === null ? null : { sha256: gate.sha256 } },
    }
  }
}
