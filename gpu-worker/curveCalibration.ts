/**
 * Measures the cost curve while nobody asks for anything, and decides when: at the start of a worker for which no curve was kept, again
 * after a while where it was not quiet, and again once live steps disagree with what was measured.
 *
 * Only what was measured quietly, with all the threads that the worker may have, is kept for the next life. What was not is better than
 * a guess and is used as one: live steps take over from it. Gives way between two decodes, and goes on where it had stopped.
 */
import { type CostCurve, curveMessage, measurePrompt, measureRows, type StepShape } from '#algorithms/costCurve.ts'
import { CostCurveMessage } from '#contracts/messages.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import * as z from 'zod'
import { Drift } from './core/curve/drift.ts'
import { type Reading, readingOf, type Timing } from './core/curve/quietness.ts'
import type { BatchSpan, ModelRunner } from './modelRunner.ts'

/** As it is kept for the next life. `isQuiet`: measured so, and live steps have not disagreed since. */
export const KeptCurve = z.object({ curve: CostCurveMessage, isQuiet: z.boolean() })
export type KeptCurve = z.infer<typeof KeptCurve>

export interface CalibrationOptions {
  readonly runner: Pick<ModelRunner, 'info' | 'threads' | 'decode' | 'truncate'>
  readonly curve: () => CostCurve
  /** Fewer of them than this measure another machine; null: their number never changes. */
  readonly threadsMax: number | null
  /** CPU time of this process so far, all threads; null: nobody knows. */
  readonly cpuMs: () => number | null
  readonly clock: Clock
  readonly log: Log
  /** It has become due. */
  readonly onDue: () => void
  readonly keep: (kept: KeptCurve) => Promise<void>
}

type State =
  /** Until it is known what an earlier life has kept; for a simulated engine, for ever. */
  | { readonly kind: 'off' }
  | { readonly kind: 'due' }
  | { readonly kind: 'resting'; readonly timer: Timer }
  /** Nothing to do but to compare live steps. */
  | { readonly kind: 'settled' }

const promptTokens = 64
/** Between two measurements: doubles with each, so that a machine that is never quiet, or drifts for ever, is measured seldom. */
const pauseMsMin = 30_000
const pauseMsMax = 900_000

export class Calibration {
  readonly #o: CalibrationOptions
  #state: State = { kind: 'off' }
  #pauseMs = pauseMsMin
  /** Against the last curve that was measured quietly, or kept. */
  #drift: Drift | null = null
  /** Of a measurement that had to give way. */
  readonly #readings = new Map<number, Reading>()

  constructor(options: CalibrationOptions) {
    this.#o = options
  }

  /** `kept`: what an earlier life left, already in use. */
  start(kept: KeptCurve | null): void {
    // A simulated engine costs what it was told to, and time spent asleep would be time nobody gains from.
    if (this.#o.runner.info.simulated) return
    if (kept?.isQuiet === true) this.#settle()
    else this.#state = { kind: 'due' }
  }

  get isDue(): boolean {
    return this.#state.kind === 'due'
  }

  /** The curve in use was measured quietly, and the machine is still like that. */
  get isTrusted(): boolean {
    return this.#drift?.hasDrifted === false
  }

  /** A live step without prompts took so long. */
  stepped(step: StepShape & { readonly ms: number }): void {
    if (this.#state.kind !== 'settled' || this.#drift === null) return
    this.#drift.observe(step)
    if (!this.#drift.hasDrifted) return
    this.#o.log.info({ pauseMs: this.#pauseMs }, 'steps take other times than measured: they are measured again')
    this.#rest()
  }

  async run(mayContinue: () => boolean): Promise<void> {
    const { runner, threadsMax, curve, keep, log } = this.#o
    const slots = Array.from({ length: runner.info.slots }, (_, slot) => slot)
    try {
      const prompt = await this.#measurePrompt(slots, mayContinue)
      if (prompt === null) return
      // What is in use may be better than what is measured in noise.
      const isGuess = curve().origin === 'prior'
      if (!prompt.isQuiet && !isGuess) return this.#rest()
      if (!(await this.#measureRows(slots, mayContinue))) return
      const readings = [prompt, ...this.#readings.values()]
      const isQuiet = readings.every((reading) => reading.isQuiet) && runner.threads >= (threadsMax ?? 0)
      log.info({ isQuiet, threads: runner.threads }, 'step times measured')
      if (isQuiet || isGuess) this.#adopt(prompt, isQuiet)
      this.#readings.clear()
      if (!isQuiet) return this.#rest()
      this.#settle()
      await keep({ curve: curveMessage(curve()), isQuiet })
    } finally {
      for (const slot of slots) runner.truncate(slot, 0)
    }
  }

  /** It cannot be measured: no more in this life. */
  giveUp(): void {
    this.close()
    this.#state = { kind: 'off' }
  }

  close(): void {
    if (this.#state.kind === 'resting') this.#state.timer.cancel()
  }

  #settle(): void {
    this.#drift = new Drift(this.#o.curve())
    this.#state = { kind: 'settled' }
  }

  #rest(): void {
    const timer = this.#o.clock.after(this.#pauseMs, () => {
      this.#state = { kind: 'due' }
      this.#o.onDue()
    })
    this.#state = { kind: 'resting', timer }
    this.#pauseMs = Math.min(pauseMsMax, 2 * this.#pauseMs)
  }

  #adopt(prompt: Reading, isSure: boolean): void {
    const curve = this.#o.curve()
    for (const [rows, { ms }] of this.#readings) measureRows(curve, { rows, contextTokens: promptTokens, ms, isSure })
    measurePrompt(curve, { tokens: promptTokens, ms: prompt.ms })
  }

  /** Fills the cells of every sequence, which the rows then attend to. */
  async #measurePrompt(slots: readonly number[], mayContinue: () => boolean): Promise<Reading | null> {
    const { runner } = this.#o
    const { vocabularySize } = runner.info
    const tokensOf = (slot: number) =>
      Array.from({ length: promptTokens }, (_, i) => (i * 7_919 + slot) % vocabularySize)
    const spanOf = (slot: number): BatchSpan => ({ slot, position: 0, tokens: tokensOf(slot), logitsForLast: 0 })
    const timings: Timing[] = []
    for (let round = 0; ; round++) {
      const slot = round % slots.length
      if (round >= slots.length) runner.truncate(slot, 0)
      const timing = await this.#time([spanOf(slot)], mayContinue)
      if (timing === null) return null
      timings.push(timing)
      const reading = readingOf(timings)
      if (reading !== null && round + 1 >= slots.length) return reading
    }
  }

  async #measureRows(slots: readonly number[], mayContinue: () => boolean): Promise<boolean> {
    const { runner, curve } = this.#o
    for (const rows of curve().rows) {
      if (this.#readings.has(rows)) continue
      const each = tokensEach(rows, slots.length)
      const tokens = Array<number>(each).fill(0)
      const sharing = slots.slice(0, rows / each)
      const spans = sharing.map((slot) => ({ slot, position: promptTokens, tokens, logitsForLast: each }))
      const timings: Timing[] = []
      for (let reading: Reading | null = null; reading === null; ) {
        const timing = await this.#time(spans, mayContinue)
        if (timing === null) return false
        for (const slot of sharing) runner.truncate(slot, promptTokens)
        timings.push(timing)
        reading = readingOf(timings)
        if (reading !== null) this.#readings.set(rows, reading)
      }
    }
    return true
  }

  /** null: somebody wants the engine, or it had to give up. */
  async #time(spans: readonly BatchSpan[], mayContinue: () => boolean): Promise<Timing | null> {
    const { runner, cpuMs } = this.#o
    if (!mayContinue()) return null
    const before = cpuMs()
    const result = await runner.decode(spans)
    if (result.kind !== 'decoded') return null
    const { decodeMs: ms } = result
    const after = cpuMs()
    const isTold = before !== null && after !== null && runner.info.backend === 'cpu'
    return { ms, cpuShare: isTold ? (after - before) / (ms * runner.threads) : null }
  }
}

/** The fewest tokens per sequence with which equal shares make so many rows. */
function tokensEach(rows: number, sequences: number): number {
  let each = Math.ceil(rows / sequences)
  while (rows % each !== 0) each += 1
  return each
}
