/**
 * A logistic model of acceptance over what a draft knows of its own token, and its training.
 *
 * The loss is SpecDec++'s: soft labels (the target's probability over the draft's, at most 1) and rejections weighted up, because
 * acceptances outnumber them. Training is Newton's method on standardised features: a convex problem of seven numbers, so the same
 * data give the same head, and a dozen rounds are enough.
 */
import assert from 'node:assert/strict'
import type { DraftToken } from './stopRule.ts'

export const featureNames = ['bias', 'chanceMax', 'entropy', 'margin', 'chance', 'position', 'logProduct'] as const

export interface AcceptanceHead {
  /** One per feature name. */
  readonly weights: readonly number[]
}

/**
 * One for tokens that are taken where the target chooses the same (the likeliest, or the winner by the same noise), and one for those that are
 * drawn: they are judged differently. null: nothing was learned of it.
 */
export interface AcceptanceHeads {
  readonly best: AcceptanceHead | null
  readonly drawn: AcceptanceHead | null
}

export interface HeadInput {
  /** 1 for the first draft token. */
  readonly position: number
  /** Product of the draft's probabilities, this token's included. */
  readonly product: number
  readonly token: DraftToken
}

export interface HeadExample extends HeadInput {
  /** min(1, p/q) of the token: how likely the target takes it. */
  readonly taken: number
  /** How often it is met: the chance that a draft gets this far; 1 where it is not given. */
  readonly weight?: number
}

export interface TrainingOptions {
  /** How much more a rejection counts than an acceptance; the paper's is 6. */
  readonly rejectionWeight?: number
  readonly rounds?: number
  /** Keeps weights finite where the examples are separable. */
  readonly ridge?: number
}

export function acceptanceChance(head: AcceptanceHead, input: HeadInput): number {
  return sigmoid(dot(head.weights, featuresOf(input)))
}

export function headLoss(head: AcceptanceHead, examples: readonly HeadExample[], rejectionWeight = 6): number {
  return predictionLoss((input) => acceptanceChance(head, input), examples, rejectionWeight)
}

/** Weighted soft binary cross entropy of any prediction, as printed in the paper: normalised by the weights. */
export function predictionLoss(
  predict: (input: HeadInput) => number,
  examples: readonly HeadExample[],
  rejectionWeight: number,
): number {
  let loss = 0
  let norm = 0
  for (const example of examples) {
    const chance = predict(example)
    const { taken, weight = 1 } = example
    const tiny = Number.MIN_VALUE
    const rejected = rejectionWeight * (1 - taken)
    loss -= weight * (rejected * Math.log(Math.max(tiny, 1 - chance)) + taken * Math.log(Math.max(tiny, chance)))
    norm += weight * (rejected + taken)
  }
  return norm === 0 ? 0 : loss / norm
}

/** The best prediction that looks at nothing: what a head must beat. */
export function constantHead(examples: readonly HeadExample[], rejectionWeight: number): AcceptanceHead {
  let taken = 0
  let rejected = 0
  for (const { taken: share, weight = 1 } of examples) {
    taken += weight * share
    rejected += weight * rejectionWeight * (1 - share)
  }
  const tiny = 1e-9
  return { weights: featureNames.map((name) => (name === 'bias' ? Math.log((taken + tiny) / (rejected + tiny)) : 0)) }
}

/** The head whose predictions are chances: training divides the odds of acceptance by the weight of rejections, this multiplies them. */
export function unweighted(head: AcceptanceHead, rejectionWeight: number): AcceptanceHead {
  return {
    weights: head.weights.map((weight, i) =>
      featureNames[i] === 'bias' ? weight + Math.log(rejectionWeight) : weight,
    ),
  }
}

export function trainHead(examples: readonly HeadExample[], options: TrainingOptions = {}): AcceptanceHead {
  const { rejectionWeight = 6, rounds = 12, ridge = 1e-3 } = options
  assert(examples.length > 0, 'no examples to train on')
  const rows = examples.map((example) => featuresOf(example))
  const scale = scaleOf(rows)
  const total = examples.reduce((sum, { weight = 1 }) => sum + weight, 0)
  const scaled = rows.map((row) => row.map((value, i) => (value - (scale.mean[i] ?? 0)) / (scale.spread[i] ?? 1)))
  let weights = featureNames.map(() => 0)
  for (let round = 0; round < rounds; round++) {
    const { gradient, hessian } = derivatives({ weights, rows: scaled, examples, total, rejectionWeight, ridge })
    const step = solve(hessian, gradient)
    weights = weights.map((weight, i) => weight - (step[i] ?? 0))
  }
  return { weights: unscaled(weights, scale) }
}

function featuresOf({ position, product, token }: HeadInput): number[] {
  const law = token.law ?? { chanceMax: token.chance, entropy: 0, margin: 0 }
  return [1, law.chanceMax, law.entropy, law.margin, token.chance, position, Math.log(Math.max(1e-9, product))]
}

interface Scale {
  readonly mean: readonly number[]
  readonly spread: readonly number[]
}

/** The bias keeps its 1; a feature that never changes is left as it is and gets no weight from the ridge. */
function scaleOf(rows: readonly (readonly number[])[]): Scale {
  const mean = featureNames.map((name, i) => (name === 'bias' ? 0 : average(rows.map((row) => row[i] ?? 0))))
  const spread = featureNames.map((name, i) => {
    const variance = average(rows.map((row) => ((row[i] ?? 0) - (mean[i] ?? 0)) ** 2))
    return name === 'bias' || variance < 1e-12 ? 1 : Math.sqrt(variance)
  })
  return { mean, spread }
}

function unscaled(weights: readonly number[], { mean, spread }: Scale): number[] {
  const out = weights.map((weight, i) => weight / (spread[i] ?? 1))
  const shift = out.reduce((sum, weight, i) => sum + weight * (mean[i] ?? 0), 0)
  return out.map((weight, i) => (i === 0 ? weight - shift : weight))
}

interface Derivatives {
  readonly gradient: number[]
  readonly hessian: number[][]
}

function derivatives(problem: {
  readonly weights: readonly number[]
  readonly rows: readonly (readonly number[])[]
  readonly examples: readonly HeadExample[]
  readonly total: number
  readonly rejectionWeight: number
  readonly ridge: number
}): Derivatives {
  const { weights, rows, examples, total, rejectionWeight, ridge } = problem
  const gradient = weights.map((weight) => ridge * weight)
  const hessian = weights.map((_, i) => weights.map((__, j) => (i === j ? ridge : 0)))
  for (const [n, row] of rows.entries()) {
    const { taken = 0, weight: share = 1 } = examples[n] ?? {}
    const weight = (share * (taken + rejectionWeight * (1 - taken))) / total
    const chance = sigmoid(dot(weights, row))
    const slope = weight * chance - (share * taken) / total
    const curvature = weight * chance * (1 - chance)
    for (const [i, value] of row.entries()) {
      gradient[i] = (gradient[i] ?? 0) + slope * value
      const line = hessian[i]
      if (line === undefined) continue
      for (const [j, other] of row.entries()) line[j] = (line[j] ?? 0) + curvature * value * other
    }
  }
  return { gradient, hessian }
}

/** Gauss elimination; the ridge keeps the matrix positive definite, so no pivot is needed. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((line, i) => [...line, right[i] ?? 0])
  for (const [i, pivotRow] of rows.entries()) {
    for (const line of rows.slice(i + 1)) {
      const factor = (line[i] ?? 0) / (pivotRow[i] ?? 1)
      for (let j = i; j < line.length; j++) line[j] = (line[j] ?? 0) - factor * (pivotRow[j] ?? 0)
    }
  }
  const solution = right.map(() => 0)
  for (let i = rows.length - 1; i >= 0; i--) {
    const line = rows[i] ?? []
    let value = line.at(-1) ?? 0
    for (let j = i + 1; j < rows.length; j++) value -= (line[j] ?? 0) * (solution[j] ?? 0)
    solution[i] = value / (line[i] ?? 1)
  }
  return solution
}

const sigmoid = (value: number) => 1 / (1 + Math.exp(-value))
const average = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)
