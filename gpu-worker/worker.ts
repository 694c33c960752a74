/**
 * One worker, put together: inbox, engine and outbox around one runner, its registration and reports, its start and its end.
 *
 * Everything it touches is handed in, so that the simulation runs it whole. `start` returns at once and accepts work at once;
 * cached measurements arrive when they do. `drain` accepts nothing new, lets what runs end within the grace, cancels the rest, takes
 * the registration away; `finished` resolves then, and rejects when the engine met a bug.
 */
import { curveFrom, curveMessage } from '#algorithms/costCurve.ts'
import type { WorkerReport } from '#contracts/messages.ts'
import { KeptCurve } from './curveCalibration.ts'
import { measurementKey } from './curveFacts.ts'
import type { WorkerState } from './report.ts'
import { WorkerFacts } from './workerFacts.ts'
import { type WorkerOptions, WorkerParts } from './workerParts.ts'

export type { Hardware, WorkerOptions } from './workerParts.ts'

export interface Worker {
  start(): void
  /** Resolves when everything has ended. A second call changes nothing. */
  drain(graceMs: number): Promise<void>
  /** As `drain` without grace. */
  stop(): Promise<void>
  readonly state: WorkerState
  readonly isIdle: boolean
  /** For `paceline status` and tests. */
  report(): Omit<WorkerReport, 'number'>
  readonly finished: Promise<void>
}

export function createWorker(options: WorkerOptions): Worker {
  return new AssembledWorker(options)
}

class AssembledWorker implements Worker {
  readonly #o: WorkerOptions
  readonly #parts: WorkerParts
  readonly #facts: WorkerFacts
  readonly #finished = Promise.withResolvers<void>()
  #state: WorkerState = 'loading'
  #ending: Promise<void> | null = null

  constructor(options: WorkerOptions) {
    this.#o = options
    this.#parts = new WorkerParts(options, {
      report: () => this.report(),
      record: () => this.#facts.record(),
      onTick: () => this.#facts.setGauges(),
      isDraining: () => this.#state !== 'ready',
      // Whoever waits for the end does so through `finished`.
      onDrain: (graceMs) => void this.drain(graceMs).catch(() => undefined),
    })
    this.#facts = new WorkerFacts(options, this.#parts)
  }

  get state(): WorkerState {
    return this.#state
  }

  get isIdle(): boolean {
    return this.#parts.engine.isIdle
  }

  get finished(): Promise<void> {
    return this.#finished.promise
  }

  start(): void {
    this.#state = 'ready'
    for (const part of this.#parts.beside) part.start()
    const fail = (error: unknown) => this.#finished.reject(error)
    this.#parts.engine.run().catch(fail)
    this.#loadMeasurements().catch(fail)
  }

  drain(graceMs: number): Promise<void> {
    return (this.#ending ??= this.#end(graceMs))
  }

  stop(): Promise<void> {
    // A drain that is under way is cut short.
    this.#cancelAll()
    return this.drain(0)
  }

  report(): Omit<WorkerReport, 'number'> {
    return this.#facts.report(this.#state)
  }

  async #loadMeasurements(): Promise<void> {
    const { curveStore } = this.#o
    const { pace, measurements, engine } = this.#parts
    const kept = KeptCurve.safeParse(await curveStore.read('curve', measurementKey(this.#o)))
    const curve = kept.success ? curveFrom(kept.data.curve, { isSure: kept.data.isQuiet }) : null
    if (curve !== null) pace.adopt(curve)
    await measurements.load(curve === null ? null : (kept.data ?? null))
    engine.wake()
  }

  async #end(graceMs: number): Promise<void> {
    const { clock, log, curveStore } = this.#o
    const { engine, jobs, outbox, reporter, beside, calibration, pace } = this.#parts
    log.info({ graceMs, jobs: jobs.size }, 'draining')
    this.#state = 'draining'
    reporter.poke()
    const grace = clock.after(graceMs, () => this.#cancelAll())
    await engine.whenIdle()
    grace.cancel()
    engine.stop()
    outbox.flush()
    this.#state = 'stopped'
    for (const part of beside) await part.stop()
    calibration.close()
    const { curve } = pace
    const kept: KeptCurve = { curve: curveMessage(curve), isQuiet: calibration.isTrusted }
    if (curve.origin === 'measured') await curveStore.write('curve', measurementKey(this.#o), kept)
    log.info({}, 'stopped')
    this.#finished.resolve()
  }

  #cancelAll(): void {
    const { engine, jobs, embeddings } = this.#parts
    for (const id of [...jobs.ids(), ...embeddings.ids()]) engine.cancel(id, 'shutdown')
  }
}
