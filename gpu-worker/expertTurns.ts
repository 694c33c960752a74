/**
 * Carries out the turns of experts: decides before a step who may take slots (`core/expertTurn.ts`), attaches the adapter whose turn
 * it is, and loads and frees adapters by who waits (`algorithms/expertResidence.ts`).
 *
 * Loads run beside the decodes; a turn whose expert is not there yet begins when it is. One load at a time, so that memory never holds
 * more than was planned. An expert whose file does not load fails the requests that name it, and nobody else.
 */
import { planResidence } from '#algorithms/expertResidence.ts'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { Clock } from '#runtime/clock.ts'
import type { ExpertRefusal } from '#contracts/records.ts'
import type { Log } from '#runtime/log.ts'
import { decideTurn } from './core/expertTurn.ts'
import { AdapterRefused, type ExpertPort } from './expertPort.ts'
import { type ExpertFile, type ExpertSupplies, tooLarge } from './expertSupplies.ts'
import type { Choice } from './job.ts'

export interface ExpertTurnsOptions {
  readonly experts: ExpertPort
  readonly supplies: ExpertSupplies
  readonly clock: Clock
  readonly log: Log
  /** An expert has been loaded, or cannot be: there is something to do for the engine. */
  readonly onLoaded: () => void
  /** One more expert is refused: whoever offers it must hear of it. */
  readonly onRefused: () => void
}

export interface SlotsView {
  readonly total: number
  readonly held: readonly Choice[]
}

export type Admission =
  | { readonly kind: 'admit'; readonly choices: readonly Choice[] }
  | { readonly kind: 'wait' }
  | { readonly kind: 'give-way' }

type Expert = string | null

export class ExpertTurns {
  readonly #o: ExpertTurnsOptions
  readonly #files: ReadonlyMap<string, ExpertFile>
  /** Loaded ones, least recently used first. */
  #used: string[] = []
  #loading: string | null = null
  #turnStartedAt = 0
  readonly #refused = new Map<string, AdapterRefused>()

  constructor(options: ExpertTurnsOptions) {
    this.#o = options
    const { files, refused } = options.supplies
    this.#files = new Map(files.map((file) => [file.name, file]))
    this.#used = [...options.experts.loaded.keys()]
    for (const { expert, reason, message } of refused)
      if (expert !== null) this.#refused.set(expert, new AdapterRefused(reason, message))
  }

  isUsable(expert: string): boolean {
    return this.#files.has(expert) && !this.#refused.has(expert)
  }

  /** For the registration. */
  get state(): { usable: string[]; refused: ExpertRefusal[] } {
    const refused = [...this.#refused].map(([expert, { reason, message }]) => ({ expert, reason, message }))
    return { usable: [...this.#files.keys()].filter((name) => this.isUsable(name)), refused }
  }

  /** Loaded now, for reports. */
  get resident(): readonly string[] {
    return this.#used
  }

  /** Called between two steps; `waiting` in the order in which they would take slots if there were no experts. */
  admit(waiting: readonly Choice[], { total, held }: SlotsView): Admission {
    const alive = waiting.filter((choice) => !this.#endRefused(choice))
    const now = this.#o.clock.now()
    const turn = decideTurn<Choice, Expert>({
      waiting: alive.map(requestOf),
      running: held[0]?.job.request.expert,
      turnStartedAt: this.#turnStartedAt,
      slotsFree: total - held.length,
      slots: total,
      turnMsMin: limits.experts.turnMsMin,
      turnMsMax: limits.experts.turnMsMax,
      leadTokensMax: 0,
      resident: this.#used,
      now,
    })
    switch (turn.kind) {
      case 'nothing-waits':
      case 'drain':
        return { kind: 'wait' }
      case 'give-way':
        return turn
      case 'admit':
        return this.#attach(turn.expert, alive, held.length > 0)
          ? { kind: 'admit', choices: turn.requests }
          : { kind: 'wait' }
      default:
        return turn satisfies never
    }
  }

  /** False where it has to be loaded first. */
  #attach(expert: Expert, waiting: readonly Choice[], isRunning: boolean): boolean {
    const { experts, clock } = this.#o
    if (isRunning) return true
    if (expert !== null && !experts.loaded.has(expert)) {
      this.#load(expert, waiting)
      return false
    }
    if (experts.attached !== expert) experts.attach(expert)
    if (expert !== null) this.#used = [...this.#used.filter((name) => name !== expert), expert]
    this.#turnStartedAt = clock.now()
    return true
  }

  #load(name: string, waiting: readonly Choice[]): void {
    const { experts } = this.#o
    const file = this.#files.get(name)
    if (this.#loading !== null || file === undefined) return
    const { bytesMax } = this.#o.supplies
    if (file.bytes > bytesMax) return this.#refuse(name, tooLarge(file, bytesMax))
    // Nothing holds a slot: whatever is attached is not in use.
    experts.attach(null)
    for (const gone of this.#whoGoes(name, waiting)) {
      experts.unload(gone)
      this.#used = this.#used.filter((other) => other !== gone)
    }
    this.#loading = name
    void this.#loaded(file)
  }

  async #loaded({ name, path }: ExpertFile): Promise<void> {
    try {
      await this.#o.experts.load(name, path)
      this.#used.push(name)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      this.#refuse(name, error)
    }
    this.#loading = null
    this.#o.onLoaded()
  }

  #refuse(name: string, failure: Failure): void {
    this.#o.log.error({ error: failure, expert: name }, 'an expert cannot be loaded: requests that name it fail')
    const refusal =
      failure instanceof AdapterRefused ? failure : new AdapterRefused('NotLoaded', failure.message, { cause: failure })
    this.#refused.set(name, refusal)
    this.#o.onLoaded()
    this.#o.onRefused()
  }

  #whoGoes(name: string, waiting: readonly Choice[]): readonly string[] {
    const itemOf = (expert: Expert) => {
      const file = expert === null ? undefined : this.#files.get(expert)
      return file === undefined ? [] : [{ key: file.name, bytes: file.bytes, cost: file.bytes }]
    }
    return planResidence({
      needed: itemOf(name),
      resident: this.#used.flatMap(itemOf),
      bytesMax: this.#o.supplies.bytesMax,
      isInUse: () => false,
      upcoming: waiting.flatMap(({ job }) => itemOf(job.request.expert)),
      prefetchMax: 0,
    }).evict
  }

  #endRefused({ job }: Choice): boolean {
    const failure = job.request.expert === null ? undefined : this.#refused.get(job.request.expert)
    if (failure === undefined) return false
    if (job.end === null) {
      job.end = { kind: 'failed', failure }
      // It is told in the next round.
      this.#o.onLoaded()
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
    // Who gave way has waited since its last token.
    startBy: (choice.lastTokenAt ?? times.acceptedAt) + limits.experts.waitMsMax,
  }
}
