/**
 * What steps take: keeps the cost curve, the number of compute threads and the speed that reports show.
 *
 * Fed by the engine after each step. The only one who calls `setThreads`, and only between steps.
 */
import { type CostCurve, observePrompt, observeStep, predictStepMs, type StepShape } from '#algorithms/costCurve.ts'
import type { Log } from '#runtime/log.ts'
import { observeThreads, startThreads, type ThreadState } from './core/threads.ts'
import type { ModelRunner } from './modelRunner.ts'

export interface StepRecord extends StepShape {
  readonly promptTokens: number
  readonly decodeMs: number
  /** Tokens that requests gained. */
  readonly gained: number
  /** Sequences that gained them. */
  readonly sampled: number
  /** From planning the step to the end of what it gained: drafting and sampling included. */
  readonly wholeMs: number
  /** All sequences brought as many rows. */
  readonly isEven: boolean
}

export interface PaceOptions {
  readonly runner: ModelRunner
  readonly curve: CostCurve
  readonly log: Log
  /** null: the number of threads is given and never changed. */
  readonly threadsMax: number | null
  readonly now: number
  /** Drafts are made only where they pay: none is what sequences have at worst. */
  readonly draftsByWorth: () => boolean
  /** A step that says what its rows take. */
  readonly onStep: (step: StepShape & { readonly ms: number }) => void
}

/** The window over which tokens per second are counted. */
const speedWindowMs = 1_000
const acceptanceRate = 0.05
/** What a step takes beside its rows, and how many each sequence brings, are followed as fast. */
const habitRate = 0.05

export class Pace {
  #curve: CostCurve
  acceptanceLength = 1
  /** Rows that one sequence brings to a step, drafts included. */
  #rowsEach = 1
  /** What a step takes beyond what its rows do by the curve: prompts, drafting, sampling. */
  #besideMs = 0
  readonly #options: PaceOptions
  #threads: ThreadState
  #windowStart: number
  #windowTokens = 0
  #tokensPerSecond = 0

  constructor(options: PaceOptions) {
    this.#options = options
    this.#curve = options.curve
    this.#threads = startThreads(options.runner.threads, options.now)
    this.#windowStart = options.now
  }

  get curve(): CostCurve {
    return this.#curve
  }

  /** A curve measured in an earlier life, unless this one knows better already. */
  adopt(curve: CostCurve): void {
    if (this.#curve.origin === 'prior') this.#curve = curve
  }

  get threads(): number {
    return this.#threads.threads
  }

  predictStepMs(shape: StepShape): number {
    return predictStepMs(this.curve, shape)
  }

  /** What a token of each sequence takes where so many run: as those of the last steps did, or without drafts where these give way. */
  predictTokenMs(sequences: number, contextTokens: number): number {
    const stepMs = (rows: number) => this.predictStepMs({ rows, contextTokens }) + this.#besideMs
    const asBefore = stepMs(sequences * this.#rowsEach) / this.acceptanceLength
    return this.#options.draftsByWorth() ? Math.min(asBefore, stepMs(sequences)) : asBefore
  }

  stepped(step: StepRecord, now: number): void {
    // The split layout computes unequal counts in several passes, which are no point of the curve.
    if (step.isEven || this.#options.runner.info.kvLayout === 'unified') this.#learn(step, now)
    // Over all steps, those without a draft included: what a sequence gains per step is what others plan by.
    if (step.sampled > 0) this.acceptanceLength += acceptanceRate * (step.gained / step.sampled - this.acceptanceLength)
    if (step.rows > 0) this.#follow(step)
    this.#windowTokens += step.gained
    this.#rollWindow(now)
  }

  #follow(step: StepRecord): void {
    const rowsEach = step.promptTokens > 0 || step.sampled === 0 ? this.#rowsEach : step.rows / step.sampled
    this.#rowsEach += habitRate * (rowsEach - this.#rowsEach)
    const besideMs = Math.max(0, step.wholeMs - this.predictStepMs(step))
    this.#besideMs += habitRate * (besideMs - this.#besideMs)
  }

  #learn(step: StepRecord, now: number): void {
    if (step.promptTokens === 0) this.#ranRows(step, now)
    else this.#ranPrompt(step)
  }

  tokensPerSecond(now: number): number {
    this.#rollWindow(now)
    return this.#tokensPerSecond
  }

  #ranRows(step: StepRecord, now: number): void {
    const predictedMs = predictStepMs(this.curve, step)
    // While another number of threads is tried, its steps are compared with the curve and must not bend it.
    const { threadsMax, runner, log, onStep } = this.#options
    const timed = { rows: step.rows, contextTokens: step.contextTokens, ms: step.decodeMs }
    if (this.#threads.probe === null) {
      observeStep(this.curve, timed)
      if (threadsMax === null || this.#threads.threads >= threadsMax) onStep(timed)
    }
    if (threadsMax === null || !(predictedMs > 0)) return
    const before = this.#threads
    this.#threads = observeThreads(before, { ratio: step.decodeMs / predictedMs, now }, { threadsMax })
    if (this.#threads.threads === before.threads) return
    runner.setThreads(this.#threads.threads)
    const isSettled = this.#threads.probe === null
    log.debug({ threads: this.#threads.threads, before: before.threads, isSettled }, 'compute threads changed')
  }

  #ranPrompt(step: StepRecord): void {
    const rowsMs = step.rows === 0 ? 0 : predictStepMs(this.curve, step)
    observePrompt(this.curve, { tokens: step.promptTokens, ms: step.decodeMs - rowsMs })
  }

  #rollWindow(now: number): void {
    const elapsedMs = now - this.#windowStart
    if (elapsedMs < speedWindowMs) return
    this.#tokensPerSecond = (1_000 * this.#windowTokens) / elapsedMs
    this.#windowStart = now
    this.#windowTokens = 0
  }
}
