/**
 * Trains a harmonizer: Adam on small batches, until the examples that were held out get no better. No labels are needed, and none are
 * looked at: what is minimised, held out or not, is the disagreement with the sources. Deterministic by its `random`.
 */
import assert from 'node:assert/strict'
import {
  type Harmonizer,
  type HarmonizerShape,
  lossAndGradient,
  type Objective,
  parameterCount,
  type SourcedExample,
} from './harmonizer.ts'
import type { Scalariser } from './scalarisers.ts'

export interface TrainingOptions {
  /** No default: which one is better depends on how much the model's own vote weighs among the sources (see the tests). */
  readonly scalariser: Scalariser
  /** Of each source; all the same where nobody says otherwise. */
  readonly weights?: Float64Array
  readonly decay?: number
  readonly hidden?: number
  readonly classes: number
  /** 0 ≤ x < 1. */
  readonly random: () => number
  readonly epochsMax?: number
  readonly learningRate?: number
}

export interface Trained {
  readonly harmonizer: Harmonizer
  /** Of the held-out examples, after each epoch. */
  readonly losses: readonly number[]
}

const batchSize = 16
/** Epochs without a better one; then the best so far is what is kept. */
const patience = 5
const heldOutShare = 0.2
const decayDefault = 1e-5

export function trainHarmonizer(examples: readonly SourcedExample[], options: TrainingOptions): Trained {
  const first = examples[0]
  assert(first !== undefined, 'examples to learn from')
  const shape = { features: first.features.length, classes: options.classes, hidden: options.hidden ?? 0 }
  const sources = first.votes.length
  assert(
    examples.every(({ votes }) => votes.length === sources),
    'the same sources for every example',
  )
  const objective: Objective = {
    scalariser: options.scalariser,
    weights: options.weights ?? new Float64Array(sources).fill(1 / sources),
    decay: options.decay ?? decayDefault,
  }
  const shuffled = shuffle(examples, options.random)
  const heldOut = shuffled.slice(0, Math.floor(shuffled.length * heldOutShare))
  const seen = shuffled.slice(heldOut.length)
  return descend({ shape, seen, heldOut: heldOut.length > 0 ? heldOut : seen }, objective, options)
}

interface Material {
  readonly shape: HarmonizerShape
  readonly seen: readonly SourcedExample[]
  readonly heldOut: readonly SourcedExample[]
}

function descend({ shape, seen, heldOut }: Material, objective: Objective, options: TrainingOptions): Trained {
  const { random, epochsMax = 100, learningRate = 0.01 } = options
  const harmonizer: Harmonizer = { shape, parameters: startingParameters(shape, random) }
  const adam = new Adam(harmonizer.parameters, learningRate)
  const losses: number[] = []
  let best = { loss: Number.POSITIVE_INFINITY, epoch: -1, parameters: harmonizer.parameters.slice() }
  for (let epoch = 0; epoch < epochsMax && epoch - best.epoch <= patience; epoch += 1) {
    const order = shuffle(seen, random)
    for (let at = 0; at < order.length; at += batchSize)
      adam.step(lossAndGradient(harmonizer, order.slice(at, at + batchSize), objective).gradient)
    const { loss } = lossAndGradient(harmonizer, heldOut, objective)
    losses.push(loss)
    if (loss < best.loss) best = { loss, epoch, parameters: harmonizer.parameters.slice() }
  }
  return { harmonizer: { shape, parameters: best.parameters }, losses }
}

/** Small and even; the ReLUs need it as wide as their inputs are many. */
function startingParameters(shape: HarmonizerShape, random: () => number): Float64Array {
  const width = Math.sqrt(6 / (shape.features + Math.max(shape.hidden, shape.classes)))
  return new Float64Array(parameterCount(shape)).map(() => (2 * random() - 1) * (shape.hidden === 0 ? 0.01 : width))
}

/** Kingma and Ba's descent, with their constants. Changes the parameters in place. */
class Adam {
  readonly #parameters: Float64Array
  readonly #rate: number
  readonly #mean: Float64Array
  readonly #square: Float64Array
  #steps = 0

  constructor(parameters: Float64Array, rate: number) {
    this.#parameters = parameters
    this.#rate = rate
    this.#mean = new Float64Array(parameters.length)
    this.#square = new Float64Array(parameters.length)
  }

  step(gradient: Float64Array): void {
    this.#steps += 1
    const meanShare = 1 - 0.9 ** this.#steps
    const squareShare = 1 - 0.999 ** this.#steps
    for (let i = 0; i < gradient.length; i += 1) {
      const slope = gradient[i] ?? 0
      const mean = 0.9 * (this.#mean[i] ?? 0) + 0.1 * slope
      const square = 0.999 * (this.#square[i] ?? 0) + 0.001 * slope * slope
      this.#mean[i] = mean
      this.#square[i] = square
      const step = (this.#rate * (mean / meanShare)) / (Math.sqrt(square / squareShare) + 1e-8)
      this.#parameters[i] = (this.#parameters[i] ?? 0) - step
    }
  }
}

function shuffle<T>(list: readonly T[], random: () => number): T[] {
  const shuffled = [...list]
  for (let i = shuffled.length - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1))
    const [a, b] = [shuffled[i], shuffled[j]]
    if (a !== undefined) shuffled[j] = a
    if (b !== undefined) shuffled[i] = b
  }
  return shuffled
}
