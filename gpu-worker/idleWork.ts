/**
 * What a worker does while nobody asks for anything, once in its life: the proof that its results are reproducible, and the first
 * measurement of its cost curve. Both are kept for the next life, and both give way between two decodes.
 */
import * as z from 'zod'
import { type CostCurve, curveMessage, observePrompt, observeStep } from '#algorithms/costCurve.ts'
import { Failure } from '#contracts/failure.ts'
import type { WorkerRecord } from '#contracts/records.ts'
import type { Log } from '#runtime/log.ts'
import type { IdleWork } from './engine.ts'
import type { MeasurementStore } from './measurementStore.ts'
import type { ModelRunner } from './modelRunner.ts'
import type { Placement } from './placement.ts'
import { proveReproducible } from './reproducibility.ts'

export type Reproducible = WorkerRecord['engine']['reproducible']

export interface IdleWorkOptions {
  readonly runner: ModelRunner
  readonly placement: Placement
  readonly curve: () => CostCurve
  readonly store: MeasurementStore
  /** What a measurement holds for: model, library, processor, KV type, threads. */
  readonly key: string
  readonly log: Log
  readonly wantsProof: boolean
  readonly onReproducible: () => void
}

const KeptProof = z.object({ reproducible: z.enum(['proved', 'refuted']) })
/** Decodes per number of rows: the first touches cold memory. */
const roundsPerShape = 3
const promptTokensPerSlot = 64

export class MeasurementWork implements IdleWork {
  readonly #o: IdleWorkOptions
  #reproducible: Reproducible
  /** The cache has been asked what an earlier life found; until then nothing is measured. */
  #isLoaded = false
  #isCalibrated: boolean

  constructor(options: IdleWorkOptions) {
    this.#o = options
    this.#reproducible = options.wantsProof ? 'proving' : 'no'
    // A simulated engine costs what it was told to, and time spent asleep would be time nobody gains from.
    this.#isCalibrated = options.runner.info.simulated
  }

  get reproducible(): Reproducible {
    return this.#reproducible
  }

  /** `hasCurve`: a cached curve was found, so there is nothing to calibrate. */
  async load(options: { readonly hasCurve: boolean }): Promise<void> {
    this.#isCalibrated ||= options.hasCurve
    const kept = this.#o.wantsProof ? KeptProof.safeParse(await this.#o.store.read('proof', this.#o.key)) : null
    if (kept?.success && this.#reproducible === 'proving') this.#settle(kept.data.reproducible)
    this.#isLoaded = true
  }

  isDue(): boolean {
    return this.#isLoaded && (this.#reproducible === 'proving' || !this.#isCalibrated)
  }

  async run(mayContinue: () => boolean): Promise<void> {
    this.#o.placement.clearResidents()
    try {
      if (this.#reproducible === 'proving') await this.#prove(mayContinue)
      else await this.#calibrate(mayContinue)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      this.#o.log.error({ error }, 'measuring the engine failed; it is not tried again')
      this.#isCalibrated = true
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

  /** About a second on two cores: each number of rows a few times over a short context. Live steps do the rest. */
  async #calibrate(mayContinue: () => boolean): Promise<void> {
    const { runner, store, key } = this.#o
    const slots = Array.from({ length: runner.info.slots }, (_, slot) => slot)
    try {
      const isDone = (await this.#measurePrompt(slots, mayContinue)) && (await this.#measureRows(slots, mayContinue))
      if (!isDone) return
      this.#isCalibrated = true
      await store.write('curve', key, curveMessage(this.#o.curve()))
    } finally {
      for (const slot of slots) runner.truncate(slot, 0)
    }
  }

  async #measurePrompt(slots: readonly number[], mayContinue: () => boolean): Promise<boolean> {
    const { runner } = this.#o
    const curve = this.#o.curve()
    for (const slot of slots) {
      if (!mayContinue()) return false
      const tokens = Array.from(
        { length: promptTokensPerSlot },
        (_, i) => (i * 7_919 + slot) % runner.info.vocabularySize,
      )
      const result = await runner.decode([{ slot, position: 0, tokens, logitsForLast: 0 }])
      if (result.kind !== 'decoded') return false
      if (slot > 0) observePrompt(curve, { tokens: promptTokensPerSlot, ms: result.decodeMs })
    }
    return true
  }

  async #measureRows(slots: readonly number[], mayContinue: () => boolean): Promise<boolean> {
    const { runner } = this.#o
    const curve = this.#o.curve()
    for (const rows of curve.rows) {
      const each = tokensEach(rows, slots.length)
      const sharing = slots.slice(0, rows / each)
      for (let round = 0; round < roundsPerShape; round++) {
        if (!mayContinue()) return false
        const tokens = Array<number>(each).fill(round)
        const spans = sharing.map((slot) => ({ slot, position: promptTokensPerSlot, tokens, logitsForLast: each }))
        const result = await runner.decode(spans)
        if (result.kind !== 'decoded') return false
        for (const slot of sharing) runner.truncate(slot, promptTokensPerSlot)
        if (round > 0) observeStep(curve, { rows, contextTokens: promptTokensPerSlot, ms: result.decodeMs })
      }
    }
    return true
  }
}

/** The fewest tokens per sequence with which equal shares make so many rows. */
function tokensEach(rows: number, sequences: number): number {
  let each = Math.ceil(rows / sequences)
  while (rows % each !== 0) each += 1
  return each
}
