/**
 * POLAR's harmonizer (2306.16564): a small classifier of answers that agrees as well as it can with several sources, none of which is
 * the truth: rules, validators, a judge, the model itself. What it thinks of the model's own label is the risk of the answer.
 *
 * Softmax regression, or one hidden layer of ReLUs. A source that abstains costs nothing and pulls at nothing. Parameters are one flat
 * list, rows of weights first, then biases, layer by layer. Pure: training is in `harmonizerTraining.ts`.
 */
import assert from 'node:assert/strict'
import { scalarise, type Scalariser } from './scalarisers.ts'

export interface HarmonizerShape {
  readonly features: number
  readonly classes: number
  /** 0: softmax regression. */
  readonly hidden: number
}

export interface Harmonizer {
  readonly shape: HarmonizerShape
  readonly parameters: Float64Array
}

export interface SourcedExample {
  readonly features: Float64Array
  /** Each source's class; null: it abstains. */
  readonly votes: readonly (number | null)[]
}

export interface Objective {
  readonly scalariser: Scalariser
  /** Of each source. */
  readonly weights: Float64Array
  /** Pulls weights to 0. */
  readonly decay: number
}

export function parameterCount({ features, classes, hidden }: HarmonizerShape): number {
  return hidden === 0 ? classes * (features + 1) : hidden * (features + 1) + classes * (hidden + 1)
}

/** Chance of each class. */
export function classLaw(harmonizer: Harmonizer, features: Float64Array): Float64Array {
  return forward(harmonizer, features).law
}

/** The chance that the label which the model gave is wrong, from 0 to 1. */
export function riskOf(harmonizer: Harmonizer, features: Float64Array, label: number): number {
  return 1 - (classLaw(harmonizer, features)[label] ?? 0)
}

/** Mean over the examples, with the decay; `gradient` is by each parameter. */
export function lossAndGradient(harmonizer: Harmonizer, examples: readonly SourcedExample[], objective: Objective) {
  const { shape, parameters } = harmonizer
  const gradient = new Float64Array(parameters.length)
  let loss = 0
  for (const { features, votes } of examples) {
    const pass = forward(harmonizer, features)
    const { value, slopes } = scalarise(objective.scalariser, lossesOf(pass.law, votes), objective.weights)
    loss += value
    const pull = pullOf(pass.law, votes, slopes)
    if (pull !== null) backward({ shape, parameters, gradient }, { ...pass, features }, pull)
  }
  const count = Math.max(1, examples.length)
  for (let i = 0; i < gradient.length; i += 1) {
    const parameter = parameters[i] ?? 0
    gradient[i] = (gradient[i] ?? 0) / count + 2 * objective.decay * parameter
    loss += objective.decay * parameter * parameter * count
  }
  return { loss: loss / count, gradient }
}

function lossesOf(law: Float64Array, votes: readonly (number | null)[]): Float64Array {
  return Float64Array.from(votes, (vote) => (vote === null ? 0 : -Math.log(Math.max(law[vote] ?? 0, chanceMin))))
}

/** A class that was thought impossible costs much, not everything. */
const chanceMin = 1e-300

/** By each class's logit; null where every source abstains. */
function pullOf(law: Float64Array, votes: readonly (number | null)[], slopes: Float64Array): Float64Array | null {
  const pull = new Float64Array(law.length)
  let isPulled = false
  for (const [j, vote] of votes.entries()) {
    const slope = slopes[j] ?? 0
    if (vote === null || slope === 0) continue
    isPulled = true
    for (let c = 0; c < law.length; c += 1) pull[c] = (pull[c] ?? 0) + slope * ((law[c] ?? 0) - (c === vote ? 1 : 0))
  }
  return isPulled ? pull : null
}

interface Pass {
  /** What the last layer reads: the features, or the hidden units. */
  readonly inputs: Float64Array
  readonly law: Float64Array
}

function forward({ shape, parameters }: Harmonizer, features: Float64Array): Pass {
  assert(features.length === shape.features, `${features.length} features for a harmonizer of ${shape.features}`)
  const inputs =
    shape.hidden === 0 ? features : layer(parameters, { from: 0, rows: shape.hidden }, features).map(positive)
  const from = lastLayerFrom(shape)
  return { inputs, law: softmax(layer(parameters, { from, rows: shape.classes }, inputs)) }
}

interface Place {
  readonly from: number
  readonly rows: number
}

function layer(parameters: Float64Array, { from, rows }: Place, inputs: Float64Array): Float64Array {
  const width = inputs.length
  const out = new Float64Array(rows)
  for (let row = 0; row < rows; row += 1) {
    let sum = parameters[from + rows * width + row] ?? 0
    const start = from + row * width
    for (let i = 0; i < width; i += 1) sum += (parameters[start + i] ?? 0) * (inputs[i] ?? 0)
    out[row] = sum
  }
  return out
}

interface Descent {
  readonly shape: HarmonizerShape
  readonly parameters: Float64Array
  readonly gradient: Float64Array
}

function backward(descent: Descent, pass: Pass & { readonly features: Float64Array }, pull: Float64Array): void {
  const { shape, parameters, gradient } = descent
  const from = lastLayerFrom(shape)
  addOuter(gradient, { from, rows: shape.classes }, { pull, inputs: pass.inputs })
  if (shape.hidden === 0) return
  const hiddenPull = pass.inputs.map((unit, i) => {
    if (unit <= 0) return 0
    let sum = 0
    for (let c = 0; c < shape.classes; c += 1) sum += (parameters[from + c * shape.hidden + i] ?? 0) * (pull[c] ?? 0)
    return sum
  })
  addOuter(gradient, { from: 0, rows: shape.hidden }, { pull: hiddenPull, inputs: pass.features })
}

/** Adds each row's pull times the inputs to its weights, and the pull to its bias. */
function addOuter(
  gradient: Float64Array,
  { from, rows }: Place,
  { pull, inputs }: { readonly pull: Float64Array; readonly inputs: Float64Array },
): void {
  const width = inputs.length
  for (let row = 0; row < rows; row += 1) {
    const by = pull[row] ?? 0
    if (by === 0) continue
    const start = from + row * width
    for (let i = 0; i < width; i += 1) gradient[start + i] = (gradient[start + i] ?? 0) + by * (inputs[i] ?? 0)
    const bias = from + rows * width + row
    gradient[bias] = (gradient[bias] ?? 0) + by
  }
}

function softmax(logits: Float64Array): Float64Array {
  const most = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const raised = logits.map((logit) => Math.exp(logit - most))
  const sum = raised.reduce((a, b) => a + b, 0)
  return raised.map((each) => each / sum)
}

const positive = (value: number) => Math.max(0, value)
const lastLayerFrom = ({ hidden, features }: HarmonizerShape) => (hidden === 0 ? 0 : hidden * (features + 1))
