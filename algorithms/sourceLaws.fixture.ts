/**
 * Synthetic traffic of a known law, to see what a harmonizer is worth: features tell how likely the model's answer is wrong, rules vote by
 * the truth with an accuracy of their own and abstain, and the model's own word is a source like any other.
 */
import type { Prediction } from './calibrationError.ts'
import { riskOf, type SourcedExample } from './harmonizer.ts'
import { trainHarmonizer } from './harmonizerTraining.ts'
import type { Scalariser } from './scalarisers.ts'
import { seeded } from './seeded.ts'

export interface SourceLaw {
  /** Log-odds that an answer is wrong: the mean, and how much features move them. */
  readonly bias: number
  readonly spread: number
  readonly rules: number
  /** A rule votes with the chance `always` + `doubtful` × the chance that the answer is wrong. */
  readonly always: number
  readonly doubtful: number
  readonly accuracy: number
  /** Of the model's own word, beside 1 of each rule. */
  readonly ownWeight: number
}

/** As validators are written: silent where nothing is doubtful, mostly right where they speak. Weights as in the paper, all the same. */
export const mistakeFinders: SourceLaw = {
  bias: -1.5,
  spread: 0.8,
  rules: 3,
  always: 0,
  doubtful: 0.5,
  accuracy: 0.95,
  ownWeight: 1,
}

/** So many votes that the model's own word hardly counts. */
export const loudRules: SourceLaw = {
  bias: -1.5,
  spread: 1.5,
  rules: 5,
  always: 0.7,
  doubtful: 0,
  accuracy: 0.97,
  ownWeight: 0.2,
}

const featureCount = 6

/** Trained on `examples`, and asked of as many others; class 1 is "wrong". */
export function predictedUnder(
  law: SourceLaw,
  { scalariser, seed, examples = 1_200, asked = 2_400 }: PredictedOptions,
): Prediction[] {
  const random = seeded(seed)
  const draw = drawing(law, random)
  const seen = Array.from({ length: examples }, () => draw())
  const weights = [...Array.from({ length: law.rules }, () => 1), law.ownWeight]
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const { harmonizer } = trainHarmonizer(
    seen.map(({ example }) => example),
    {
      classes: 2,
      scalariser,
      weights: Float64Array.from(weights, (weight) => weight / total),
      random,
      epochsMax: 60,
      learningRate: 0.01,
    },
  )
  return Array.from({ length: asked }, () => {
    const { example, wrong } = draw()
    return { risk: riskOf(harmonizer, example.features, 0), wrong }
  })
}

export interface PredictedOptions {
  readonly scalariser: Scalariser
  readonly seed: number
  readonly examples?: number
  readonly asked?: number
}

function drawing(law: SourceLaw, random: () => number): () => { example: SourcedExample; wrong: boolean } {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const direction = Array.from({ length: featureCount }, normal)
  const length = Math.hypot(...direction)
  return () => {
    const features = Float64Array.from({ length: featureCount }, normal)
    const along = direction.reduce((sum, each, i) => sum + (each / length) * (features[i] ?? 0), 0)
    const errorChance = 1 / (1 + Math.exp(-(law.bias + law.spread * along)))
    const wrong = random() < errorChance
    const speaks = law.always + law.doubtful * errorChance
    const rule = () => (random() < speaks ? Number(random() < law.accuracy === wrong) : null)
    return { example: { features, votes: [...Array.from({ length: law.rules }, rule), 0] }, wrong }
  }
}
