/**
 * From kept examples to a calibration of a risk route: which of them go together, the harmonizer trained on their votes, and what it is
 * worth on those of which somebody said whether the answer was right. Pure; deterministic by its `random`.
 *
 * Labels of right and wrong are never trained on: an example that has one is held out as far as enough others are left to learn from.
 */
import { packedNumbers, unpackedNumbers } from '#contracts/packedNumbers.ts'
import { type RiskCalibration, riskSignals } from '#contracts/riskCalibration.ts'
import type { AnswerLabel, RiskExample } from '#contracts/riskExample.ts'
import { expectedCalibrationError, type Prediction, rankDetermination } from './calibrationError.ts'
import { riskOf, type SourcedExample } from './harmonizer.ts'
import { trainHarmonizer } from './harmonizerTraining.ts'
import { featuresOf, scaleOf } from './riskFeatures.ts'
import type { Scalariser } from './scalarisers.ts'

/** Examples of the same two models, labels and width of embedding: what one harmonizer can be of. */
export interface RiskSet {
  readonly model: string
  readonly embedding: { readonly model: string; readonly width: number }
  readonly labels: readonly string[]
  readonly examples: readonly RiskExample[]
}

/** The largest first. What cannot be used (no label of its own, no model known) is in none. */
export function riskSets(examples: readonly RiskExample[]): RiskSet[] {
  const usable = examples.flatMap((example) => {
    const { model, embeddingModel, ownLabel } = example
    if (model === undefined || ownLabel === null) return []
    const width = example.embedding === null ? 0 : unpackedNumbers(example.embedding).length
    const embedding = { model: width === 0 ? model : (embeddingModel ?? ''), width }
    return embedding.model === '' ? [] : [{ example, model, embedding, labels: example.labels }]
  })
  const groups = Map.groupBy(usable, ({ model, embedding, labels }) => JSON.stringify([model, embedding, labels]))
  const sets = [...groups.values()].flatMap((group) => {
    const [first] = group
    if (first === undefined) return []
    const { model, embedding, labels } = first
    return [{ model, embedding, labels, examples: group.map(({ example }) => example) }]
  })
  return sets.sort((a, b) => b.examples.length - a.examples.length)
}

/**
 * What is known of the answers in the examples, which are first ones. A label of what the client got says something of them only where the
 * client got them; what was asked again or passed on was answered by other words.
 */
export function firstAnswerLabels(examples: readonly RiskExample[], labels: readonly AnswerLabel[]) {
  const isGiven = new Map<string, boolean>()
  for (const example of examples)
    isGiven.set(example.request, example.isGiven === true && isGiven.get(example.request) !== false)
  const known = labels.filter(({ request }) => isGiven.has(request))
  const ofFirst = known.filter(({ answer }) => answer === 'first')
  const ofGiven = known.filter(({ request, answer }) => answer !== 'first' && isGiven.get(request) === true)
  return {
    // Who looked at the first answer itself knows best.
    correct: new Map([...ofGiven, ...ofFirst].map(({ request, correct }) => [request, correct])),
    skipped: known.length - ofFirst.length - ofGiven.length,
  }
}

export interface RiskTrainingOptions {
  readonly scalariser: Scalariser
  readonly hidden: number
  readonly epochsMax: number
  readonly learningRate: number
  readonly decay: number
  /** By the source's name; the others weigh 1. Brought to a sum of 1. */
  readonly weights: ReadonlyMap<string, number>
  /** Of the labelled examples, what is held out at least; the others may be learned from where those are all there is. */
  readonly heldOutShare: number
  /** By request: whether the answer in its example, the first one, was right. */
  readonly correct: ReadonlyMap<string, boolean>
  readonly random: () => number
}

export interface RiskTrained {
  readonly document: RiskCalibration
  /** Of the labelled examples that were held out. */
  readonly predictions: readonly Prediction[]
}

export function trainRisk(set: RiskSet, options: RiskTrainingOptions): RiskTrained {
  const { learned, heldOut } = split(set.examples, options)
  const sources = [...new Set(set.examples.flatMap(({ votes }) => Object.keys(votes)))].sort()
  const signals = riskSignals
    .map((name) => ({ name, values: learned.map((example) => example.signals[name] ?? null) }))
    .filter(({ values }) => values.some((value) => value !== null))
    .map(({ name, values }) => ({ name, ...scaleOf(values) }))
  const read = (example: RiskExample) =>
    featuresOf(
      example.embedding === null ? [] : unpackedNumbers(example.embedding),
      signals.map(({ name }) => example.signals[name] ?? null),
      signals,
    )
  const examples = learned.map(
    (example): SourcedExample => ({
      features: read(example),
      votes: sources.map((name) => example.votes[name] ?? null),
    }),
  )
  const raw = sources.map((name) => options.weights.get(name) ?? 1)
  const total = raw.reduce((sum, weight) => sum + weight, 0)
  const { scalariser, hidden, epochsMax, learningRate, decay, random } = options
  const { harmonizer, losses } = trainHarmonizer(examples, {
    scalariser,
    weights: Float64Array.from(raw, (weight) => weight / total),
    decay,
    hidden,
    classes: set.labels.length,
    epochsMax,
    learningRate,
    random,
  })
  const predictions = heldOut.flatMap((example): Prediction[] => {
    const correct = options.correct.get(example.request)
    if (correct === undefined || example.ownLabel === null) return []
    return [{ risk: riskOf(harmonizer, read(example), example.ownLabel), wrong: !correct }]
  })
  const document: RiskCalibration = {
    kind: 'RiskCalibration',
    version: 1,
    model: set.model,
    embedding: { ...set.embedding },
    signals,
    labels: [...set.labels],
    sources,
    hidden,
    parameters: packedNumbers(harmonizer.parameters),
    scalariser,
    trained: { examples: examples.length, epochs: losses.length },
    measured: predictions.length === 0 ? null : measuredBy(predictions),
  }
  return { document, predictions }
}

export function measuredBy(predictions: readonly Prediction[]): NonNullable<RiskCalibration['measured']> {
  const determination = rankDetermination(predictions)
  return {
    labelled: predictions.length,
    errorRate: predictions.filter(({ wrong }) => wrong).length / predictions.length,
    calibrationError: expectedCalibrationError(predictions),
    determination: Number.isFinite(determination) ? determination : null,
  }
}

/** Half of all are learned from at least, or nothing is learned. */
function split(examples: readonly RiskExample[], { correct, heldOutShare, random }: RiskTrainingOptions) {
  const shuffled = examples
    .map((example) => ({ example, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ example }) => example)
  const labelled = shuffled.filter(({ request }) => correct.has(request))
  const unlabelled = shuffled.filter(({ request }) => !correct.has(request))
  const isEnough = unlabelled.length >= labelled.length
  const count = isEnough ? labelled.length : Math.ceil(labelled.length * heldOutShare)
  return { heldOut: labelled.slice(0, count), learned: [...unlabelled, ...labelled.slice(count)] }
}
