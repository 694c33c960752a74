/**
 * What a step of an engine costs: milliseconds by batch rows and context length, and prompt tokens per second.
 *
 * A grid with bilinear interpolation, filled from a guess (`priorCurve`) or an earlier life (`curveFrom`) and then pulled towards
 * what live steps take. Robust: one stalled step moves nothing much (ratios are clipped, a measured node follows slowly), and a
 * machine that is evenly faster than the guess is learned at once, because nodes never measured follow the measured ones.
 * Has one writer: the worker that measures. Everybody else reads a `CostCurveMessage`.
 */
import assert from 'node:assert/strict'
import type { CostCurveMessage } from '#contracts/messages.ts'

export interface StepShape {
  readonly rows: number
  /** Mean number of cells a row attends to. */
  readonly contextTokens: number
}

export interface CostCurve {
  readonly rows: readonly number[]
  readonly contexts: readonly number[]
  /** `ms[c][r]`, as in the message. */
  readonly ms: number[][]
  /** How many steps have shaped each node; fractions, because a step between nodes counts for each of them in part. */
  readonly observed: number[][]
  promptTokensPerSecond: number
  promptObserved: number
  origin: CostCurveMessage['origin']
}

/** A node needs this many steps before it counts as measured and stops following its neighbours. */
const measuredAfter = 3
/** … and from this many on it follows no faster than it ever will. */
const settledAfter = 16
/** Share of the error that a measured node takes over per step. */
const followRate = 0.06
/** One step may claim at most this factor: a stalled machine must not spoil the curve. */
const ratioMax = 3

const contextGrid = [64, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072]

/** A guess with the shape that CPU backends show: the second row costs most, later ones little; long contexts cost more. */
export function priorCurve(options: {
  readonly slots: number
  readonly contextTokensMax: number
  /** One row at a short context. */
  readonly stepMs: number
  readonly promptTokensPerSecond: number
}): CostCurve {
  const rows = rowGrid(options.slots)
  const contexts = contextGrid.filter((context, i) => i === 0 || context <= options.contextTokensMax)
  const rowFactor = (n: number) => (n === 1 ? 1 : 1.4 + 0.21 * n)
  const contextFactor = (n: number) => 1 + n / 4_096
  return {
    rows,
    contexts,
    ms: contexts.map((context) => rows.map((n) => options.stepMs * rowFactor(n) * contextFactor(context))),
    observed: contexts.map(() => rows.map(() => 0)),
    promptTokensPerSecond: options.promptTokensPerSecond,
    promptObserved: 0,
    origin: 'prior',
  }
}

/** 1, 2, 3, 4, 6, 8, 12, 16, … up to `slots`, which is always the last. */
export function rowGrid(slots: number): number[] {
  const grid: number[] = []
  for (let n = 1; n < slots; n = nextRows(n)) grid.push(n)
  grid.push(Math.max(1, slots))
  return grid
}

function nextRows(n: number): number {
  if (n < 4) return n + 1
  const isPowerOfTwo = (n & (n - 1)) === 0
  return isPowerOfTwo ? n * 1.5 : (n / 3) * 4
}

/**
 * The curve in a message, or null where its grid is not well formed. `isSure`: it was measured on purpose, and well, at its shortest context;
 * there live steps pull it slowly, so that one stalled step does not undo the measurement.
 */
export function curveFrom(message: CostCurveMessage, options: { readonly isSure?: boolean } = {}): CostCurve | null {
  const { rows, contexts, ms } = message
  const isAscending = (list: readonly number[]) => list.every((value, i) => i === 0 || value > (list[i - 1] ?? 0))
  const hasShape = ms.length === contexts.length && ms.every((line) => line.length === rows.length)
  if (rows.length === 0 || contexts.length === 0 || !hasShape || !isAscending(rows) || !isAscending(contexts))
    return null
  return {
    rows: [...rows],
    contexts: [...contexts],
    ms: ms.map((line) => [...line]),
    observed: ms.map((line, c) => line.map(() => (options.isSure === true && c === 0 ? settledAfter : 0))),
    promptTokensPerSecond: message.promptTokensPerSecond,
    promptObserved: 0,
    origin: 'cached',
  }
}

export function curveMessage(curve: CostCurve): CostCurveMessage {
  const round = (value: number) => Math.max(0.001, Number(value.toPrecision(4)))
  return {
    rows: [...curve.rows],
    contexts: [...curve.contexts],
    ms: curve.ms.map((line) => line.map(round)),
    promptTokensPerSecond: round(curve.promptTokensPerSecond),
    origin: curve.origin,
  }
}

/** Grows linearly beyond the last rows, and stays at the last context's cost beyond the grid. */
export function predictStepMs(curve: CostCurve, shape: StepShape): number {
  let ms = 0
  for (const { r, c, weight } of nodesAround(curve, shape)) ms += weight * at(curve.ms, c, r)
  const rowsMax = curve.rows.at(-1) ?? 1
  return shape.rows > rowsMax ? (ms * shape.rows) / rowsMax : ms
}

export function predictPromptMs(curve: CostCurve, promptTokens: number): number {
  return (1_000 * promptTokens) / curve.promptTokensPerSecond
}

/** A step without prompt chunks took `ms`. */
export function observeStep(curve: CostCurve, step: StepShape & { readonly ms: number }): void {
  const predicted = predictStepMs(curve, step)
  if (!(step.ms > 0) || !(predicted > 0)) return
  const ratio = clip(step.ms / predicted)
  const isFirst = curve.observed.every((line) => line.every((count) => count === 0)) && curve.origin === 'prior'
  const nodes = nodesAround(curve, step)
  if (isFirst) scaleAll(curve, step.ms / predicted)
  else if (curve.origin === 'prior' || !isMeasured(curve, nodes)) scaleUnmeasured(curve, ratio ** 0.25)
  for (const { r, c, weight } of nodes) pull(curve, { r, c, weight, ratio: isFirst ? 1 : ratio })
  if (curve.origin !== 'measured' && isMeasured(curve, nodes)) curve.origin = 'measured'
}

/**
 * Measured on purpose: replaces what was believed of so many rows, which must be one of the grid's, and in proportion what was believed of them
 * at other contexts. Where it is not sure it stays a guess, and live steps take over from it at once.
 */
export function measureRows(
  curve: CostCurve,
  step: StepShape & { readonly ms: number; readonly isSure: boolean },
): void {
  const r = curve.rows.indexOf(step.rows)
  assert(r >= 0 && step.ms > 0, `${step.ms} ms for ${step.rows} rows, of a grid of ${curve.rows.join(', ')}`)
  const ratio = step.ms / predictStepMs(curve, step)
  const measuredAt = between(curve.contexts, step.contextTokens).index
  for (const [c, line] of curve.ms.entries()) {
    line[r] = (line[r] ?? 0) * ratio
    const counts = curve.observed[c]
    if (counts !== undefined) counts[r] = step.isSure && c === measuredAt ? measuredAfter : 0
  }
  if (step.isSure) curve.origin = 'measured'
}

/** The same for prompts. */
export function measurePrompt(curve: CostCurve, chunk: { readonly tokens: number; readonly ms: number }): void {
  assert(chunk.ms > 0, `${chunk.ms} ms for a prompt of ${chunk.tokens} tokens`)
  curve.promptTokensPerSecond = (1_000 * chunk.tokens) / chunk.ms
  curve.promptObserved = Math.max(1, curve.promptObserved)
}

/** Computing `tokens` of prompts took `ms`, running rows not counted. Short chunks say little and weigh little. */
export function observePrompt(curve: CostCurve, chunk: { readonly tokens: number; readonly ms: number }): void {
  if (!(chunk.ms > 0) || chunk.tokens < 16) return
  const speed = (1_000 * chunk.tokens) / chunk.ms
  const rate = curve.promptObserved === 0 ? 1 : 0.15 * Math.min(1, chunk.tokens / 128)
  curve.promptTokensPerSecond *= clip(speed / curve.promptTokensPerSecond, rate === 1 ? 1_000 : ratioMax) ** rate
  curve.promptObserved += 1
}

interface Node {
  readonly r: number
  readonly c: number
  readonly weight: number
}

function nodesAround(curve: CostCurve, shape: StepShape): Node[] {
  const row = between(curve.rows, shape.rows)
  const context = between(curve.contexts, shape.contextTokens)
  return [
    { r: row.index, c: context.index, weight: (1 - row.share) * (1 - context.share) },
    { r: row.index + 1, c: context.index, weight: row.share * (1 - context.share) },
    { r: row.index, c: context.index + 1, weight: (1 - row.share) * context.share },
    { r: row.index + 1, c: context.index + 1, weight: row.share * context.share },
  ].filter((node) => node.weight > 0)
}

/** The grid cell that holds `value`: its lower index, and how far towards the next one. Clamped at both ends. */
function between(grid: readonly number[], value: number): { index: number; share: number } {
  const last = grid.length - 1
  if (value <= (grid[0] ?? 0)) return { index: 0, share: 0 }
  if (value >= (grid[last] ?? 0)) return { index: last, share: 0 }
  let index = 0
  while ((grid[index + 1] ?? Number.POSITIVE_INFINITY) <= value) index += 1
  const low = grid[index] ?? 0
  const high = grid[index + 1] ?? low + 1
  return { index, share: (value - low) / (high - low) }
}

function pull(curve: CostCurve, step: Node & { readonly ratio: number }): void {
  const line = curve.ms[step.c]
  const counts = curve.observed[step.c]
  if (line === undefined || counts === undefined) return
  const count = counts[step.r] ?? 0
  // A new node follows as a mean of what it has seen, an old one as a slow average.
  const rate = Math.max(followRate, 1 / (1 + count))
  line[step.r] = (line[step.r] ?? 0) * (1 + step.weight * rate * (step.ratio - 1))
  counts[step.r] = count + step.weight
}

function isMeasured(curve: CostCurve, nodes: readonly Node[]): boolean {
  return nodes.every(({ r, c, weight }) => weight < 0.25 || at(curve.observed, c, r) >= measuredAfter)
}

function scaleAll(curve: CostCurve, factor: number): void {
  for (const line of curve.ms) for (let r = 0; r < line.length; r++) line[r] = (line[r] ?? 0) * factor
}

function scaleUnmeasured(curve: CostCurve, factor: number): void {
  for (const [c, line] of curve.ms.entries())
    for (let r = 0; r < line.length; r++) if (at(curve.observed, c, r) === 0) line[r] = (line[r] ?? 0) * factor
}

function at(grid: readonly (readonly number[])[], c: number, r: number): number {
  return grid[c]?.[r] ?? 0
}

function clip(ratio: number, max: number = ratioMax): number {
  return Math.min(max, Math.max(1 / max, ratio))
}
