/**
 * A model runner that computes nothing and takes exactly as long as it was told: for tests of everything around an engine.
 *
 * Time comes only from the injected clock, chance only from the seed. It keeps the port's promises as strictly as llama.cpp
 * does (positions, rows, cells left behind by an aborted step) and asserts what callers must hold. `info.simulated` is true;
 * whoever shows its figures must say so.
 */
import assert from 'node:assert/strict'
import { setImmediate as afterPendingEvents } from 'node:timers'
import { Failure } from '#contracts/failure.ts'
import type { SimulatedSettings } from '#contracts/resources/modelDeployment.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import { leavesOf, spareIdsFor } from '../core/speculation/treeSequences.ts'
import {
  assertBatch,
  type BatchSpan,
  type DecodeResult,
  type ModelRunner,
  type RunnerInfo,
  type Slot,
} from '../modelRunner.ts'
import { Cells } from './cells.ts'
import { embedTokens } from './embedding.ts'
import { SimulatedExperts } from './experts.ts'
import { type FaultPlan, planFaults, type StepFaults } from './faults.ts'
import { type LanguageModel, windowLength } from './languageModel.ts'
import { createStepTimes, type StepTimes } from './stepTimes.ts'
import { quizRow, type Raised } from './quiz.ts'
import * as vocabulary from './vocabulary.ts'

type RunnerSettings = Pick<SimulatedSettings, 'promptTokensPerSecond' | 'stepMs' | 'rowMs' | 'seed' | 'faults'> &
  Partial<SimulatedSettings>

export type SimulatedRunnerOptions = RunnerSettings & {
  readonly slots: number
  readonly contextTokensMax: number
  readonly clock: Clock
  readonly kvLayout: 'split' | 'unified'
  /** Unified layout: cells of all slots together; `slots * contextTokensMax` where it is not given. */
  readonly cellsMax?: number
  readonly batchTokensMax?: number
  /** What a `crash` fault does: end the process, or in the simulation the worker. The step then never answers. */
  readonly crash?: () => void
  /** How a step of no length answers. The default lets waiting I/O go first, so that a loop of such steps starves nobody. */
  readonly immediate?: (action: () => void) => void
}

export function createSimulatedRunner(options: SimulatedRunnerOptions): ModelRunner {
  return new SimulatedRunner(options)
}

interface RunningStep {
  finish(result: DecodeResult): void
  timer: Timer | undefined
}

class SimulatedRunner implements ModelRunner {
  readonly info: RunnerInfo
  readonly batchTokensMax: number
  readonly experts: SimulatedExperts
  readonly #options: SimulatedRunnerOptions
  readonly #cells: Cells
  readonly #faults: FaultPlan
  readonly #times: StepTimes
  readonly #immediate: (action: () => void) => void
  readonly #rows: Float32Array[] = []
  /** Of the last step: its rows stay what they are whatever is attached afterwards. */
  #model: LanguageModel
  #windows = new Int32Array(64 * windowLength)
  #rowCount = 0
  #rowsFilled: boolean[] = []
  /** By row of the last step, where an answer of known quality begins. */
  #quizRows = new Map<number, Raised>()
  #rowsAreNumbers = true
  #running: RunningStep | undefined
  #threads = 1
  #disposed = false

  constructor(options: SimulatedRunnerOptions) {
    this.#options = options
    this.info = infoOf(options)
    this.batchTokensMax = options.batchTokensMax ?? 16_384
    this.#cells = new Cells({ ...options, cellsMax: options.cellsMax ?? options.slots * options.contextTokensMax })
    this.experts = new SimulatedExperts(options.seed, options.refusedExperts)
    this.#model = this.experts.model
    this.#times = createStepTimes(options)
    this.#faults = planFaults(options.faults, options.seed)
    this.#immediate = options.immediate ?? ((action) => void afterPendingEvents(action))
  }

  get threads(): number {
    return this.#threads
  }

  setThreads(threads: number): void {
    this.#assertOpen()
    assert(Number.isInteger(threads) && threads > 0, `${threads} threads`)
    this.#threads = threads
  }

  tokenize(text: string, options: { parseSpecial: boolean; addBegin: boolean }): number[] {
    this.#assertOpen()
    const tokens = vocabulary.tokenize(text, options)
    if (options.addBegin) tokens.unshift(vocabulary.tokens.begin)
    return tokens
  }

  pieceOf(token: number): Uint8Array {
    assertToken(token)
    return vocabulary.pieceOf(token)
  }

  specialText(token: number): string {
    assertToken(token)
    return vocabulary.controlText(token)
  }

  isEndOfGeneration(token: number): boolean {
    assertToken(token)
    return vocabulary.endOfGeneration.includes(token)
  }

  endOfGenerationTokens(): readonly number[] {
    return vocabulary.endOfGeneration
  }

  readonly briefMsMax = 0

  async decode(spans: readonly BatchSpan[]): Promise<DecodeResult> {
    this.#assertOpen()
    assert(this.#running === undefined, 'a decode is already running')
    const tokens = assertBatch(spans, this.batchTokensMax)
    assert(!this.#cells.hasTrees, 'what stays of a tree has not been said')
    this.#assertTrees(spans)
    if (!this.#cells.hasRoom(tokens)) return { kind: 'no-cells' }
    this.experts.computing(spans)
    this.#model = this.experts.model
    this.#take(spans)
    const faults = this.#faults.nextStep()
    if (faults.crash) {
      this.#options.crash?.()
      return new Promise<never>(() => {})
    }
    this.#rowsAreNumbers = faults.garbage !== 'not-a-number'
    const result = await this.#elapse(this.#stepMs(spans, faults))
    if (faults.garbage === 'throws')
      throw new Failure('engine-fault', `the simulated engine was told to fail this step of ${tokens} tokens`, {
        retry: { kind: 'elsewhere' },
      })
    return result
  }

  #assertTrees(spans: readonly BatchSpan[]): void {
    let forks = 0
    for (const { parents } of spans) if (parents !== undefined) forks += leavesOf({ parents }).length - 1
    assert(forks <= this.info.forksMax, `${forks} paths beyond one per sequence, of ${this.info.forksMax}`)
    assert(this.info.capabilities.trees || spans.every(({ parents }) => parents === undefined), 'no trees here')
  }

  /** Puts the tokens into their cells and remembers the window before each row: drafts may be truncated before rows are read. */
  #take(spans: readonly BatchSpan[]): void {
    const rows = spans.reduce((sum, span) => sum + span.logitsForLast, 0)
    if (this.#windows.length < rows * windowLength) this.#windows = new Int32Array(2 * rows * windowLength)
    this.#rowCount = 0
    this.#quizRows.clear()
    for (const span of spans) {
      this.#cells.append(span)
      const end = span.position + span.tokens.length
      for (let i = span.logitsForLast; i > 0; i--) {
        this.#cells.window(span.slot, end - i + 1, this.#windows, this.#rowCount * windowLength)
        this.#quiz(span.slot, end - i + 1)
        this.#rowCount++
      }
    }
    this.#rowsFilled = Array<boolean>(rows).fill(false)
  }

  #quiz(slot: Slot, end: number): void {
    const { quiz, seed } = this.#options
    if (quiz === undefined) return
    const raised = quizRow(this.#cells.history(slot, end), { ...quiz, seed })
    if (raised !== null) this.#quizRows.set(this.#rowCount, raised)
  }

  #stepMs(spans: readonly BatchSpan[], faults: StepFaults): number {
    const cells = spans.reduce((sum, span) => sum + span.position + span.tokens.length, 0)
    const tokens = spans.reduce((sum, span) => sum + span.tokens.length, 0)
    const counts = rowCounts(spans)
    const promptTokens = tokens - counts.reduce((sum, count) => sum + count, 0)
    const ms = this.#times.stepMs({ counts, promptTokens, contextTokens: cells / spans.length })
    return ms * faults.slowFactor + faults.stallMs
  }

  #elapse(ms: number): Promise<DecodeResult> {
    const { clock } = this.#options
    const startedAt = clock.now()
    const rows = this.#rowCount
    return new Promise((resolve) => {
      const step: RunningStep = {
        timer: undefined,
        finish: (result) => {
          if (this.#running !== step) return
          this.#running = undefined
          resolve(result)
        },
      }
      this.#running = step
      const decoded = () => step.finish({ kind: 'decoded', rows, decodeMs: clock.now() - startedAt })
      if (ms > 0) step.timer = clock.after(ms, decoded)
      else this.#immediate(decoded)
    })
  }

  logits(row: number): Float32Array {
    this.#assertOpen()
    assert(Number.isInteger(row) && row >= 0 && row < this.#rowCount, `row ${row} of ${this.#rowCount}`)
    const logits = (this.#rows[row] ??= new Float32Array(vocabulary.vocabularySize))
    if (this.#rowsFilled[row]) return logits
    this.#rowsFilled[row] = true
    if (this.#rowsAreNumbers) this.#model.fill(logits, this.#windows, row * windowLength)
    else logits.fill(Number.NaN)
    for (const [token, logit] of this.#quizRows.get(row) ?? []) logits[token] = logit
    return logits
  }

  abort(): void {
    const step = this.#running
    step?.timer?.cancel()
    step?.finish({ kind: 'aborted' })
  }

  truncate(slot: Slot, position: number): void {
    this.#assertIdle()
    this.#cells.truncate(slot, position)
  }

  keepPath(slot: Slot, path: readonly number[]): void {
    this.#assertIdle()
    this.#cells.keepPath(slot, path)
  }

  saveSequence(slot: Slot): Uint8Array {
    this.#assertIdle()
    return this.#cells.save(slot)
  }

  restoreSequence(slot: Slot, state: Uint8Array): boolean {
    this.#assertIdle()
    this.experts.brought(slot)
    return this.#cells.restore(slot, state)
  }

  sequenceBytes(slot: Slot): number {
    this.#assertIdle()
    return this.#cells.bytes(slot)
  }

  async embed(inputs: readonly (readonly number[])[]): Promise<Float32Array[]> {
    this.#assertOpen()
    const { clock, promptTokensPerSecond, stepMs } = this.#options
    const tokens = inputs.reduce((sum, input) => sum + input.length, 0)
    const waitMs = stepMs === 0 ? 0 : stepMs + (1_000 * tokens) / promptTokensPerSecond
    if (waitMs > 0) await new Promise<void>((resolve) => void clock.after(waitMs, resolve))
    return inputs.map((input) => embedTokens(input, this.#options.seed))
  }

  openGrammar(): never {
    throw new Failure('unsupported', 'the simulated engine has no grammars: leave out response_format')
  }

  refuses(): boolean {
    return this.#faults.nextRefusal()
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.abort()
    this.#disposed = true
    return Promise.resolve()
  }

  #assertOpen(): void {
    assert(!this.#disposed, 'the runner is disposed')
  }

  #assertIdle(): void {
    this.#assertOpen()
    assert(this.#running === undefined, 'cells cannot change while a decode runs')
  }
}

/**
 * Tokens of each sequence that gets rows. The end of a prompt is computed in the same pass as the drafts beside it, as far as it is long
 * enough; the rest of it is prompt.
 */
function rowCounts(spans: readonly BatchSpan[]): number[] {
  const sampling = spans.filter(({ logitsForLast }) => logitsForLast > 0)
  const most = sampling.reduce((max, { logitsForLast }) => Math.max(max, logitsForLast), 0)
  return sampling.map(({ tokens, logitsForLast }) =>
    tokens.length > logitsForLast ? Math.min(most, tokens.length) : logitsForLast,
  )
}

function infoOf(options: SimulatedRunnerOptions): RunnerInfo {
  const forksMax = options.kvLayout === 'unified' ? spareIdsFor(options.slots) : 0
  return {
    kind: 'simulated',
    simulated: true,
    backend: 'simulated',
    library: 'simulated 1',
    cpu: 'simulated',
    modelName: 'simulated',
    vocabularySize: vocabulary.vocabularySize,
    contextTokensMax: options.contextTokensMax,
    slots: options.slots,
    kvCacheType: 'simulated',
    kvLayout: options.kvLayout,
    bytesPerToken: Int32Array.BYTES_PER_ELEMENT,
    chatTemplate: vocabulary.chatTemplate,
    beginToken: vocabulary.tokens.begin,
    endToken: vocabulary.tokens.end,
    capabilities: { embeddings: true, grammar: false, sequenceState: true, trees: forksMax > 0 },
    forksMax,
  }
}

function assertToken(token: number): void {
  assert(Number.isInteger(token) && token >= 0 && token < vocabulary.vocabularySize, `token ${token}`)
}
