/**
 * Which adapters are in memory: loads the one whose turn has come, and ahead of time the one that waiting requests need next, and lets
 * go of whom they need last (`algorithms/expertResidence.ts`).
 *
 * Loads run beside the decodes, one at a time, so that memory never holds more than was planned. An adapter that does not load is
 * refused from then on; nobody else is touched by that. Never lets go of the one that is attached.
 */
import { planResidence } from '#algorithms/expertResidence.ts'
import { Failure } from '#contracts/failure.ts'
import type { ExpertRefusal } from '#contracts/records.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import type { ExpertMeter, LoadCause } from './expertMeter.ts'
import { AdapterRefused, type ExpertPort } from './expertPort.ts'
import { type ExpertFile, type ExpertSupplies, tooLarge } from './expertSupplies.ts'

export interface ExpertMemoryOptions {
  readonly experts: ExpertPort
  readonly supplies: ExpertSupplies
  readonly clock: Clock
  readonly log: Log
  readonly meter: ExpertMeter
  /** An expert has been loaded, or cannot be: there is something to do for the engine. */
  readonly onLoaded: () => void
  /** One more expert is refused: whoever offers it must hear of it. */
  readonly onRefused: () => void
  /** Measurements put another rule beside ours. */
  readonly planResidence?: typeof planResidence
}

/** Of the mean, the newest load. */
const newestShare = 0.3

export class ExpertMemory {
  readonly #o: ExpertMemoryOptions
  readonly #files: ReadonlyMap<string, ExpertFile>
  readonly #refused = new Map<string, AdapterRefused>()
  /** Loaded ones, least recently used first. */
  #used: string[]
  #loading: string | null = null
  #loadMs: number | null

  constructor(options: ExpertMemoryOptions) {
    this.#o = options
    const { files, refused, loadsMs } = options.supplies
    this.#files = new Map(files.map((file) => [file.name, file]))
    this.#used = [...options.experts.loaded.keys()]
    this.#loadMs = loadsMs.length === 0 ? null : loadsMs.reduce((sum, ms) => sum + ms, 0) / loadsMs.length
    for (const { expert, reason, message } of refused)
      if (expert !== null) this.#refused.set(expert, new AdapterRefused(reason, message))
  }

  /** Loaded now, the one used last at the end. */
  get resident(): readonly string[] {
    return this.#used
  }

  get bytes(): number {
    return this.#used.reduce((sum, name) => sum + (this.#files.get(name)?.bytes ?? 0), 0)
  }

  /** What a load takes, lately; null: none was seen. */
  get loadMs(): number | null {
    return this.#loadMs
  }

  get usable(): string[] {
    return [...this.#files.keys()].filter((name) => this.isUsable(name))
  }

  get refused(): ExpertRefusal[] {
    return [...this.#refused].map(([expert, { reason, message }]) => ({ expert, reason, message }))
  }

  isUsable(expert: string): boolean {
    return this.#files.has(expert) && !this.#refused.has(expert)
  }

  refusalOf(expert: string | null): Failure | undefined {
    return expert === null ? undefined : this.#refused.get(expert)
  }

  /** Attaches it; false where it has to be loaded first, which has begun then. Call while nothing holds a slot. */
  attach(expert: string | null, waiting: readonly (string | null)[]): boolean {
    const { experts, meter } = this.#o
    if (expert !== null && !experts.loaded.has(expert)) {
      // Whatever is attached is not in use, and may have to go.
      if (this.#loading === null) experts.attach(null)
      this.#load(expert, waiting)
      return false
    }
    if (experts.attached !== expert) {
      experts.attach(expert)
      meter.switched()
    }
    if (expert !== null) this.#used = [...this.#used.filter((name) => name !== expert), expert]
    return true
  }

  /** Of those who wait, the first that is not in memory, where that costs nobody anything who waits as well. */
  prefetch(waiting: readonly (string | null)[]): void {
    if (this.#loading !== null) return
    const upcoming = waiting.filter((name) => name !== null && this.isUsable(name))
    const [plan] = this.#plan([], upcoming, 1).prefetch
    const file = plan === undefined ? undefined : this.#files.get(plan.load)
    if (plan !== undefined && file !== undefined) this.#begin(file, plan.evict, 'ahead')
  }

  #load(name: string, waiting: readonly (string | null)[]): void {
    const file = this.#files.get(name)
    if (this.#loading !== null || file === undefined) return
    const { bytesMax } = this.#o.supplies
    if (file.bytes > bytesMax) return this.#refuse(name, tooLarge(file, bytesMax))
    this.#begin(file, this.#plan([name], waiting, 0).evict, 'needed')
  }

  #plan(needed: readonly string[], upcoming: readonly (string | null)[], prefetchMax: number) {
    const { supplies, experts } = this.#o
    const itemOf = (expert: string | null) => {
      const file = expert === null ? undefined : this.#files.get(expert)
      return file === undefined ? [] : [{ key: file.name, bytes: file.bytes, cost: file.bytes }]
    }
    return (this.#o.planResidence ?? planResidence)({
      needed: needed.flatMap(itemOf),
      resident: this.#used.flatMap(itemOf),
      bytesMax: supplies.bytesMax,
      isInUse: (expert) => expert === experts.attached,
      upcoming: upcoming.flatMap(itemOf),
      prefetchMax,
    })
  }

  #begin(file: ExpertFile, evict: readonly string[], cause: LoadCause): void {
    for (const gone of evict) this.#o.experts.unload(gone)
    this.#used = this.#used.filter((name) => !evict.includes(name))
    this.#loading = file.name
    void this.#loaded(file, cause)
  }

  async #loaded({ name, path }: ExpertFile, cause: LoadCause): Promise<void> {
    const { clock, experts, meter } = this.#o
    const startedAt = clock.now()
    try {
      await experts.load(name, path)
      const ms = clock.now() - startedAt
      this.#loadMs = this.#loadMs === null ? ms : this.#loadMs + newestShare * (ms - this.#loadMs)
      meter.loaded(cause, ms)
      // What came ahead of its turn is still the least recently used but for those that nobody needs.
      if (cause === 'ahead') this.#used.unshift(name)
      else this.#used.push(name)
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
}
