/**
 * Trains a pre-gate on labelled prompts: seeded stochastic gradient descent on the log loss, with a step size per weight that
 * shrinks with the gradients it has seen (AdaGrad), so that rare features learn as fast as frequent ones.
 *
 * The same examples in the same order, form and seed give the same weights, bit by bit. The loss is convex: another seed ends near
 * the same gate.
 */
import assert from 'node:assert/strict'
import { seeded } from '../seeded.ts'
import { type FeatureForm, type Features, featuresOf } from './features.ts'
import { gateOf, lawOf, type PreGate } from './preGate.ts'

export interface Labelled {
  readonly tokens: readonly number[]
  readonly expert: string
}

export interface TrainingOptions {
  readonly form: FeatureForm
  readonly epochs: number
  readonly stepSize: number
  /** Pull of every weight towards zero, at each step that uses it: what a few prompts say by chance should not count for much. */
  readonly decay: number
  readonly seed: number
}

export const trainingDefaults = { epochs: 12, stepSize: 0.5, decay: 1e-5 } as const
export const formDefaults: FeatureForm = { buckets: 65_536, gramMax: 3, tokensMax: 256 }

export function trainPreGate(examples: readonly Labelled[], options: TrainingOptions): PreGate {
  const { form } = options
  assert(Number.isInteger(Math.log2(form.buckets)), `${form.buckets} buckets are no power of two`)
  const experts = [...new Set(examples.map(({ expert }) => expert))].toSorted()
  const learning = new Learning(experts, options)
  const prepared = examples.map(({ tokens, expert }) => ({
    features: featuresOf(tokens, form),
    expert: experts.indexOf(expert),
  }))
  const uniform = seeded(options.seed)
  for (let epoch = 0; epoch < options.epochs; epoch++) {
    for (const place of shuffled(prepared.length, uniform)) {
      const example = prepared[place]
      if (example !== undefined) learning.learn(example.features, example.expert)
    }
  }
  return learning.gate()
}

export interface Evaluation {
  readonly examples: number
  readonly right: number
  /** Mean of −log of the probability of the right expert, in nats. */
  readonly logLoss: number
  /** For each expert: how many prompts were its own, and how many of those it got. */
  readonly byExpert: Readonly<Record<string, { readonly examples: number; readonly right: number }>>
}

export function evaluatePreGate(gate: PreGate, examples: readonly Labelled[]): Evaluation {
  const byExpert = Object.fromEntries(gate.experts.map((expert) => [expert, { examples: 0, right: 0 }]))
  let logLoss = 0
  for (const { tokens, expert } of examples) {
    const law = lawOf(gate, featuresOf(tokens, gate.form))
    logLoss -= Math.log(Math.max(law[gate.experts.indexOf(expert)] ?? 0, Number.MIN_VALUE))
    const own = (byExpert[expert] ??= { examples: 0, right: 0 })
    own.examples += 1
    if (gateOf(gate, tokens).expert === expert) own.right += 1
  }
  const right = Object.values(byExpert).reduce((sum, each) => sum + each.right, 0)
  return { examples: examples.length, right, logLoss: logLoss / Math.max(1, examples.length), byExpert }
}

class Learning {
  readonly #experts: readonly string[]
  readonly #options: TrainingOptions
  readonly #bias: Weights
  readonly #weights: Weights

  constructor(experts: readonly string[], options: TrainingOptions) {
    this.#experts = experts
    this.#options = options
    this.#bias = weightsOf(experts.length)
    this.#weights = weightsOf(experts.length * options.form.buckets)
  }

  learn(features: Features, expert: number): void {
    const law = lawOf({ experts: this.#experts, bias: this.#bias.values, weights: this.#weights.values }, features)
    const errors = law.map((probability, e) => probability - (e === expert ? 1 : 0))
    for (const [e, error] of errors.entries()) this.#step(this.#bias, e, error)
    for (const [i, bucket] of features.buckets.entries()) {
      const value = features.values[i] ?? 0
      const row = bucket * this.#experts.length
      for (const [e, error] of errors.entries()) this.#step(this.#weights, row + e, error * value)
    }
  }

  gate(): PreGate {
    const { form } = this.#options
    return { form, experts: this.#experts, bias: this.#bias.values, weights: this.#weights.values }
  }

  #step({ values, squares }: Weights, at: number, slope: number): void {
    const weight = values[at] ?? 0
    const gradient = slope + this.#options.decay * weight
    const seen = (squares[at] ?? 0) + gradient * gradient
    squares[at] = seen
    values[at] = weight - (this.#options.stepSize * gradient) / (1e-6 + Math.sqrt(seen))
  }
}

interface Weights {
  readonly values: Float32Array
  /** Sum of squares of the gradients. */
  readonly squares: Float32Array
}

const weightsOf = (count: number): Weights => ({ values: new Float32Array(count), squares: new Float32Array(count) })

/** Part for training and part to be measured on, by a fixed share and seed. */
export function splitExamples<T>(
  examples: readonly T[],
  heldOutShare: number,
  seed: number,
): { kept: T[]; heldOut: T[] } {
  const places = shuffled(examples.length, seeded(seed))
  const count = Math.round(examples.length * heldOutShare)
  const heldOut = new Set(places.slice(0, count))
  return {
    kept: examples.filter((_, i) => !heldOut.has(i)),
    heldOut: examples.filter((_, i) => heldOut.has(i)),
  }
}

function shuffled(length: number, uniform: () => number): number[] {
  const places = Array.from({ length }, (_, i) => i)
  for (let last = length - 1; last > 0; last--) {
    const other = Math.floor(uniform() * (last + 1))
    const swapped = places[last] ?? 0
    places[last] = places[other] ?? 0
    places[other] = swapped
  }
  return places
}
