/**
 * Carries out the turns of experts: decides before a step who may take slots (`core/expertTurn.ts`) and has the adapter attached whose
 * turn it is (`expertMemory.ts`). A turn whose expert is not in memory yet begins when it is; while one runs, the next is loaded.
 */
import { limits } from '#contracts/limits.ts'
import type { Clock } from '#runtime/clock.ts'
import { decideTurn } from './core/expertTurn.ts'
import type { ExpertMemory } from './expertMemory.ts'
import type { ExpertMeter } from './expertMeter.ts'
import type { Choice } from './job.ts'

export interface ExpertTurnsOptions {
  readonly memory: ExpertMemory
  readonly clock: Clock
  readonly meter: ExpertMeter
  /** There is something to do for the engine. */
  readonly onEnded: () => void
  /** Measurements put another rule beside ours. */
  readonly decideTurn?: typeof decideTurn
}

export interface SlotsView {
  readonly total: number
  readonly held: readonly Choice[]
  /** What these have computed is not lost where they give way. */
  readonly keepsStates: boolean
}

export type Admission =
  | { readonly kind: 'admit'; readonly choices: readonly Choice[] }
  | { readonly kind: 'wait' }
  | { readonly kind: 'give-way' }

type Expert = string | null

export class ExpertTurns {
  readonly #o: ExpertTurnsOptions
  readonly #decide: typeof decideTurn
  #turnStartedAt = 0

  constructor(options: ExpertTurnsOptions) {
    this.#o = options
    this.#decide = options.decideTurn ?? decideTurn
  }

  /** Called between two steps; `waiting` in the order in which they would take slots if there were no experts. */
  admit(waiting: readonly Choice[], { total, held, keepsStates }: SlotsView): Admission {
    const { clock, memory, meter } = this.#o
    const alive = waiting.filter((choice) => !this.#endRefused(choice))
    const turn = this.#decide<Choice, Expert>({
      waiting: alive.map(requestOf),
      running: held[0]?.job.request.expert,
      turnStartedAt: this.#turnStartedAt,
      slotsFree: total - held.length,
      slots: total,
      turnMsMin: limits.experts.turnMsMin,
      turnMsMax: limits.experts.turnMsMax,
      lateTurnMsMax: limits.experts.lateTurnMsMax,
      leadTokensMax: 0,
      resident: memory.resident,
      now: clock.now(),
    })
    const upcoming = alive.map(({ job }) => job.request.expert)
    switch (turn.kind) {
      case 'nothing-waits':
        return { kind: 'wait' }
      case 'drain':
        memory.prefetch(upcoming)
        return { kind: 'wait' }
      case 'give-way':
        // Whoever began anew in each turn and gained nothing in any would never end.
        if (!keepsStates && !held.every((choice) => this.#hasGained(choice))) {
          memory.prefetch(upcoming)
          return { kind: 'wait' }
        }
        meter.gaveWay(held.length)
        return turn
      case 'admit':
        if (held.length === 0 && !this.#begin(turn.expert, upcoming)) return { kind: 'wait' }
        memory.prefetch(upcoming)
        return { kind: 'admit', choices: turn.requests }
      default:
        return turn satisfies never
    }
  }

  /** False where it has to be loaded first. */
  #begin(expert: Expert, upcoming: readonly Expert[]): boolean {
    if (!this.#o.memory.attach(expert, upcoming)) return false
    this.#turnStartedAt = this.#o.clock.now()
    return true
  }

  #hasGained({ lastTokenAt }: Choice): boolean {
    return lastTokenAt !== null && lastTokenAt >= this.#turnStartedAt
  }

  #endRefused({ job }: Choice): boolean {
    const failure = this.#o.memory.refusalOf(job.request.expert)
    if (failure === undefined) return false
    if (job.end === null) {
      job.end = { kind: 'failed', failure }
      // It is told in the next round.
      this.#o.onEnded()
    }
    return true
  }
}

function requestOf(choice: Choice) {
  const { request, times } = choice.job
  return {
    id: choice,
    expert: request.expert,
    size: 1,
    priority: request.priority,
    tenantServed: 0,
    // Who gave way has waited since its last token, and everybody else since it came to a router.
    startBy: (choice.lastTokenAt ?? times.acceptedAt - request.waitedMs) + limits.experts.waitMsMax,
  }
}
