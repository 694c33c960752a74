/**
 * What a worker does while nobody asks for anything: once in its life the proof that its results are reproducible, and the
 * measurement of its cost curve as often as that is due. Both are kept for the next life, and both give way between two decodes.
 */
import * as z from 'zod'
import { Failure } from '#contracts/failure.ts'
import type { WorkerRecord } from '#contracts/records.ts'
import type { Log } from '#runtime/log.ts'
import type { Calibration, KeptCurve } from './curveCalibration.ts'
import type { IdleWork } from './engine.ts'
import type { MeasurementStore } from './measurementStore.ts'
import type { ModelRunner } from './modelRunner.ts'
import type { Placement } from './placement.ts'
import { proveReproducible } from './reproducibility.ts'

export type Reproducible = WorkerRecord['engine']['reproducible']

export interface IdleWorkOptions {
  readonly runner: ModelRunner
  readonly placement: Placement
  readonly calibration: Calibration
  readonly store: MeasurementStore
  /** What the proof holds for: model, library, processor, KV type, threads. */
  readonly key: string
  readonly log: Log
  readonly wantsProof: boolean
  readonly onReproducible: () => void
}

const KeptProof = z.object({ reproducible: z.enum(['proved', 'refuted']) })

export class MeasurementWork implements IdleWork {
  readonly #o: IdleWorkOptions
  #reproducible: Reproducible
  /** The cache has been asked what an earlier life found; until then nothing is measured. */
  #isLoaded = false

  constructor(options: IdleWorkOptions) {
    this.#o = options
    this.#reproducible = options.wantsProof ? 'proving' : 'no'
  }

  get reproducible(): Reproducible {
    return this.#reproducible
  }

  /** `kept`: the curve that an earlier life left, already in use. */
  async load(kept: KeptCurve | null): Promise<void> {
    this.#o.calibration.start(kept)
    const proof = this.#o.wantsProof ? KeptProof.safeParse(await this.#o.store.read('proof', this.#o.key)) : null
    if (proof?.success && this.#reproducible === 'proving') this.#settle(proof.data.reproducible)
    this.#isLoaded = true
  }

  isDue(): boolean {
    return this.#isLoaded && (this.#reproducible === 'proving' || this.#o.calibration.isDue)
  }

  async run(mayContinue: () => boolean): Promise<void> {
    this.#o.placement.clearResidents()
    try {
      if (this.#reproducible === 'proving') await this.#prove(mayContinue)
      else await this.#o.calibration.run(mayContinue)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      this.#o.log.error({ error }, 'measuring the engine failed; it is not tried again')
      this.#o.calibration.giveUp()
      if (this.#reproducible === 'proving') this.#settle('refuted')
    }
  }

  async #prove(mayContinue: () => boolean): Promise<void> {
    const { runner, log, store, key } = this.#o
    const proof = await proveReproducible(runner, { mayContinue })
    switch (proof.kind) {
      case 'interrupted':
        return
      case 'reproducible':
        log.info(
          { comparisons: proof.comparisons },
          'results are reproducible: bit-identical over all batch shapes tried',
        )
        this.#settle('proved')
        return store.write('proof', key, { reproducible: 'proved' })
      case 'differs':
        log.error(
          { shape: proof.shape, differenceMax: proof.differenceMax },
          'results are not reproducible on this machine',
        )
        this.#settle('refuted')
        return store.write('proof', key, { reproducible: 'refuted' })
      default:
        return proof satisfies never
    }
  }

  #settle(reproducible: Reproducible): void {
    this.#reproducible = reproducible
    this.#o.onReproducible()
  }
}
