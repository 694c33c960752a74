/**
 * What a batch of some shape costs, from the worker's one cost curve.
 *
 * The curve knows rows; the layout of the cache decides in how many passes over the weights they are computed. Unified: one pass for
 * all rows. Split: llama.cpp makes micro-batches of consecutive sequence ids with equal numbers of tokens (`split_equal`), so 4,3,2,1
 * tokens are four passes of 4, 3, 2 and 1 rows and cost 2.5 times as much as 2,2,2,2 (measured). What the shapes of this machine
 * take beyond that is learned as a factor per kind of shape; the curve itself is never written here.
 */
import { type CostCurve, predictStepMs } from '#algorithms/costCurve.ts'

export type KvLayout = 'split' | 'unified'

export interface BatchShape {
  /** Tokens of each running sequence (1 + draft), in the order of their ids, without gaps. */
  readonly counts: readonly number[]
  /** Mean number of cells a row attends to. */
  readonly contextTokens: number
  /** Tokens of prompts that share the step. */
  readonly promptTokens: number
}

/** Rows of each pass over the weights. */
export function passesOf(counts: readonly number[], layout: KvLayout): number[] {
  const rows = counts.reduce((sum, count) => sum + count, 0)
  if (rows === 0) return []
  const [first] = counts
  if (layout === 'unified' || counts.every((count) => count === first)) return [rows]
  return passesOfUnequal([...counts])
}

/** As `split_equal` does: from the first sequence that has tokens left, its neighbours too, as many tokens as all of them have. */
function passesOfUnequal(left: number[]): number[] {
  const passes: number[] = []
  let start = 0
  while (start < left.length) {
    const tokens = left[start] ?? 0
    if (tokens === 0) {
      start += 1
      continue
    }
    let end = start
    let equal = tokens
    while (end < left.length && (left[end] ?? 0) > 0) {
      equal = Math.min(equal, left[end] ?? 0)
      end += 1
    }
    for (let i = start; i < end; i++) left[i] = (left[i] ?? 0) - equal
    passes.push(equal * (end - start))
  }
  return passes
}

/** Milliseconds, nothing learned. */
export function predictShapeMs(curve: CostCurve, layout: KvLayout, shape: BatchShape): number {
  const { contextTokens, promptTokens } = shape
  const promptTokenMs = 1_000 / curve.promptTokensPerSecond
  const passes = passesOf(shape.counts, layout)
  if (layout === 'split' || promptTokens === 0) {
    const stepMs = (rows: number) => predictStepMs(curve, { rows, contextTokens })
    return passes.reduce((sum, rows) => sum + stepMs(rows), promptTokens * promptTokenMs)
  }
  // One pass for everything: beside a prompt a draft row costs what one more row of a large batch does.
  const rows = (passes[0] ?? 0) + promptTokens
  const onCurve = Math.min(rows, curve.rows.at(-1) ?? 1)
  return predictStepMs(curve, { rows: onCurve, contextTokens }) + (rows - onCurve) * promptTokenMs
}

/** Share of the error that a kind of shape takes over per step. */
const followRate = 0.1
/** One step may claim at most this factor, and so may all of them: a stalled machine must not spoil the decision. */
const logFactorMax = Math.log(2)

export interface ShapeCostsOptions {
  readonly curve: () => CostCurve
  readonly layout: KvLayout
}

export class ShapeCosts {
  readonly #options: ShapeCostsOptions
  /** Logarithm of measured over predicted time, by kind of shape. Few kinds, so it is bounded. */
  readonly #errors = new Map<number, number>()

  constructor(options: ShapeCostsOptions) {
    this.#options = options
  }

  /**
   * The prices of one step: valid until the curve or the sequences change. What prompts take is not in them, because it is spent
   * whatever the drafts do: counted in, it would make the time of a row look small in just those steps for which somebody waits. That
   * a row of a large pass is cheaper is in them.
   */
  pricesAt(step: {
    readonly sequences: number
    readonly contextTokens: number
    readonly promptTokens: number
  }): StepPrices {
    const { curve, layout } = this.#options
    const now = curve()
    const { sequences, contextTokens } = step
    const promptTokens = layout === 'unified' ? step.promptTokens : 0
    const shapeMs = (rows: number, prompts: number) =>
      predictShapeMs(now, layout, { counts: [rows], contextTokens, promptTokens: prompts })
    const spentMs = promptTokens === 0 ? 0 : shapeMs(sequences, promptTokens) - shapeMs(sequences, 0)
    const byRows: number[] = []
    const passMs = (rows: number) => (byRows[rows] ??= shapeMs(rows, promptTokens) - spentMs)
    const stepMs = (counts: readonly number[]) => {
      const passes = passesOf(counts, layout)
      const ms = passes.reduce((sum, rows) => sum + passMs(rows), 0)
      const error = this.#errors.get(kindOf(counts, passes.length))
      return error === undefined ? ms : ms * Math.exp(error)
    }
    return { stepMs, passMs }
  }

  /** A step took `ms`. Steps with prompts say too little about their rows. */
  observe(shape: BatchShape, ms: number): void {
    if (shape.promptTokens > 0 || shape.counts.length === 0 || !(ms > 0)) return
    const { curve, layout } = this.#options
    const kind = kindOf(shape.counts, passesOf(shape.counts, layout).length)
    const before = this.#errors.get(kind) ?? 0
    const error = Math.log(ms / predictShapeMs(curve(), layout, shape))
    this.#errors.set(kind, clip(before + followRate * clip(error - before)))
  }
}

export interface StepPrices {
  readonly stepMs: (counts: readonly number[]) => number
  /** As many rows in one pass: what no shape of them undercuts. */
  readonly passMs: (rows: number) => number
}

/** Shapes that miss the curve alike: by passes, by sequences and by tokens of each. */
function kindOf(counts: readonly number[], passes: number): number {
  const most = counts.reduce((max, count) => Math.max(max, count), 0)
  return (Math.min(passes, 4) * 16 + band(counts.length)) * 16 + band(most)
}

/** 1, 2, 3–4, 5–8, … */
const band = (count: number) => Math.ceil(Math.log2(Math.max(1, count)))
const clip = (log: number) => Math.max(-logFactorMax, Math.min(logFactorMax, log))
