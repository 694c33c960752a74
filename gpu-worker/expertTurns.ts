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
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import type { Log } from '#runtime/log.ts'
import { decideTurn } from './core/expertTurn.ts'
import type { ExpertPort } from './expertPort.ts'
import type { Choice } from './job.ts'

export interface ExpertFile {
  readonly name: string
  readonly path: string
  readonly bytes: number
}

export interface ExpertTurnsOptions {
  readonly experts: ExpertPort
  readonly files: readonly ExpertFile[]
  /** What adapters may take in memory together. */
  readonly bytesMax: number
  readonly clock: Clock
  readonly log: Log
  /** An expert has been loaded, or cannot be: there is something to do for the engine. */
  readonly onLoaded: () => void
}

/** null where the deployment has no experts. */
export function expertTurnsOf(
  config: Pick<WorkerConfig, 'experts' | 'expertBytesMax'>,
  surroundings: Omit<ExpertTurnsOptions, 'files' | 'bytesMax'>,
): ExpertTurns | null {
  if (config.experts.length === 0) return null
  return new ExpertTurns({ ...surroundings, files: config.experts, bytesMax: config.expertBytesMax })
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
  readonly #broken = new Map<string, Failure>()

  constructor(options: ExpertTurnsOptions) {
    this.#o = options
    this.#files = new Map(options.files.map((file) => [file.name, file]))
  }

  /** Loaded now, for reports. */
  get resident(): readonly string[] {
    return this.#used
  }

  /** Called between two steps; `waiting` in the order in which they would take slots if there were no experts. */
  admit(waiting: readonly Choice[], { total, held }: SlotsView): Admission {
    const alive = waiting.filter((choice) => !this.#endBroken(choice))
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
    if (file.bytes > this.#o.bytesMax) return this.#breaks(name, tooLarge(file, this.#o.bytesMax))
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
      this.#breaks(name, error)
    }
    this.#loading = null
    this.#o.onLoaded()
  }

  #breaks(name: string, failure: Failure): void {
    this.#o.log.error({ error: failure, expert: name }, 'an expert cannot be loaded: requests that name it fail')
    this.#broken.set(name, failure)
    this.#o.onLoaded()
  }

  #whoGoes(name: string, waiting: readonly Choice[]): readonly string[] {
    const itemOf = (expert: Expert) => {
      const file = expert === null ? undefined : this.#files.get(expert)
      return file === undefined ? [] : [{ key: file.name, bytes: file.bytes, cost: file.bytes }]
    }
    return planResidence({
      needed: itemOf(name),
      resident: this.#used.flatMap(itemOf),
      bytesMax: this.#o.bytesMax,
      isInUse: () => false,
      upcoming: waiting.flatMap(({ job }) => itemOf(job.request.expert)),
      prefetchMax: 0,
    }).evict
  }

  #endBroken({ job }: Choice): boolean {
    const failure = job.request.expert === null ? undefined : this.#broken.get(job.request.expert)
    if (failure === undefined) return false
    if (job.end === null) {
      job.end = { kind: 'failed', failure }
      // It is told in the next round.
      this.#o.onLoaded()
    }
    return true
  }
}

const tooLarge = ({ path, bytes }: ExpertFile, bytesMax: number) =>
  new Failure('model-unusable', `the adapter ${path} takes ${bytes} bytes; all experts together may take ${bytesMax}`)

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
