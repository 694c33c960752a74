import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRandom, type Random } from '#test/simulate/random.ts'
import { expectedCalibrationError, type Prediction, rankBins, rankDetermination } from './calibrationError.ts'
import {
  classLaw,
  type Harmonizer,
  type HarmonizerShape,
  lossAndGradient,
  parameterCount,
  riskOf,
  type SourcedExample,
} from './harmonizer.ts'
import { trainHarmonizer } from './harmonizerTraining.ts'
import { loudRules, mistakeFinders, predictedUnder, type SourceLaw } from './sourceLaws.fixture.ts'
import { scalarise, type Scalariser, scalarisers } from './scalarisers.ts'

const drawsOf = (seed: number) => {
  const random = createRandom(seed)
  return () => random.next()
}
const linear = { classes: 2, scalariser: 'linear', decay: 0 } as const
const thirds = new Float64Array(3).fill(1 / 3)

/** The harmonizer of one example without features: its biases are the logits, so its chance of class 1 can be set. */
function chanceOfOne(chance: number): Harmonizer {
  const parameters = Float64Array.of(0, Math.log(chance / (1 - chance)))
  return { shape: { features: 0, classes: 2, hidden: 0 }, parameters }
}
const oneExample: SourcedExample[] = [{ features: new Float64Array(0), votes: [1, 1, 0] }]

describe('published values: one input, sources that vote 1, 1, 0', () => {
  test.each([
    ['linear', 2 / 3],
    ['quadratic', 2 / 3],
    ['euclidean', 0.5705],
    ['chebyshev', 0.5],
  ] as const)('%s is least at a chance of %f', (scalariser, expected) => {
    const lossAt = (chance: number) =>
      lossAndGradient(chanceOfOne(chance), oneExample, { scalariser, weights: thirds, decay: 0 }).loss
    expect(leastOf(lossAt)).toBeCloseTo(expected, 4)
  })

  test('so the risk of a model that said 0 is two thirds under linear', () => {
    expect(riskOf(chanceOfOne(2 / 3), new Float64Array(0), 0)).toBeCloseTo(2 / 3, 14)
    const { gradient } = lossAndGradient(chanceOfOne(2 / 3), oneExample, {
      scalariser: 'linear',
      weights: thirds,
      decay: 0,
    })
    for (const slope of gradient) expect(slope).toBeCloseTo(0, 14)
  })
})

describe('gradients', () => {
  const shapes: readonly HarmonizerShape[] = [
    { features: 4, classes: 3, hidden: 0 },
    { features: 4, classes: 3, hidden: 6 },
  ]
  const cases = shapes.flatMap((shape) =>
    scalarisers.map((scalariser) => ({ shape, scalariser, hidden: shape.hidden })),
  )

  test.each(cases)('$scalariser, $hidden hidden units: as by differences, to 1e-6', ({ shape, scalariser }) => {
    const random = createRandom(3)
    const parameters = new Float64Array(parameterCount(shape)).map(() => 2 * random.next() - 1)
    const examples = Array.from({ length: 12 }, () => anyExample(random, shape))
    const objective = { scalariser, weights: Float64Array.of(0.5, 0.3, 0.2, 0.4), decay: 0.01 }
    const { gradient } = lossAndGradient({ shape, parameters }, examples, objective)
    const lossWith = (i: number, by: number) => {
      const changed = parameters.slice()
      changed[i] = (changed[i] ?? 0) + by
      return lossAndGradient({ shape, parameters: changed }, examples, objective).loss
    }
    const step = 1e-5
    for (const [i, slope] of gradient.entries())
      expect(Math.abs(slope - (lossWith(i, step) - lossWith(i, -step)) / (2 * step))).toBeLessThan(1e-6)
  })

  test('are zero where every source abstains, whatever the scalariser', () => {
    for (const scalariser of scalarisers) {
      const shape = { features: 2, classes: 2, hidden: 3 }
      const parameters = new Float64Array(parameterCount(shape)).fill(0.3)
      const examples = [{ features: Float64Array.of(1, -1), votes: [null, null, null] }]
      const { loss, gradient } = lossAndGradient({ shape, parameters }, examples, {
        scalariser,
        weights: thirds,
        decay: 0,
      })
      expect([loss, ...gradient].every((value) => value === 0)).toBe(true)
    }
  })
})

test('every scalariser is 0 at no loss, rises with each loss, and knows by how much', () => {
  const losses = fc.array(fc.double({ min: 0.1, max: 5, noNaN: true }), { minLength: 3, maxLength: 3 })
  fc.assert(
    fc.property(fc.constantFrom(...scalarisers), losses, (kind, given) => {
      const weights = Float64Array.of(0.2, 0.3, 0.5)
      expect(scalarise(kind, new Float64Array(3), weights).value).toBe(0)
      const { value, slopes } = scalarise(kind, Float64Array.from(given), weights)
      given.forEach((loss, j) => {
        const more = Float64Array.from(given)
        more[j] = loss + 1e-6
        const rise = scalarise(kind, more, weights).value - value
        expect(rise).toBeGreaterThanOrEqual(0)
        if (kind !== 'chebyshev') expect(rise / 1e-6).toBeCloseTo(slopes[j] ?? 0, 3)
      })
    }),
  )
})

describe('training', () => {
  test.each([0, 8])(
    'on one source that features tell apart matches it, with %i hidden units: the risk goes to 0',
    (hidden) => {
      const random = createRandom(4)
      const examples = Array.from({ length: 200 }, (): SourcedExample => {
        const at = 4 * random.next() - 2
        return { features: Float64Array.of(at + Math.sign(at), 1), votes: [at > 0 ? 1 : 0] }
      })
      const { harmonizer } = trainHarmonizer(examples, {
        ...linear,
        random: () => random.next(),
        hidden,
        learningRate: 0.05,
      })
      const risks = examples.map(({ features, votes }) => riskOf(harmonizer, features, votes[0] ?? 0))
      expect(Math.max(...risks)).toBeLessThan(0.05)
    },
  )

  test('comes to the published minimum by itself', () => {
    const examples = Array.from(
      { length: 64 },
      (): SourcedExample => ({ features: Float64Array.of(1), votes: [1, 1, 0] }),
    )
    for (const [scalariser, expected] of [
      ['linear', 2 / 3],
      ['quadratic', 2 / 3],
      ['euclidean', 0.5705],
    ] as const) {
      const { harmonizer } = trainHarmonizer(examples, { ...linear, scalariser, random: drawsOf(5) })
      expect(Math.abs((classLaw(harmonizer, Float64Array.of(1))[1] ?? 0) - expected)).toBeLessThan(0.01)
    }
  })

  test('is the same for the same seed, and stops once what is held out gets no better', () => {
    const once = () => {
      const random = createRandom(6)
      const examples = Array.from({ length: 60 }, () => anyExample(random, { features: 3, classes: 2, hidden: 0 }))
      return trainHarmonizer(examples, { ...linear, random: () => random.next(), epochsMax: 100 })
    }
    const first = once()
    expect(once().harmonizer.parameters).toEqual(first.harmonizer.parameters)
    expect(first.losses.length).toBeLessThan(100)
  })
})

describe('sources of a known law: over 20 seeds', () => {
  const seeds = Array.from({ length: 20 }, (_, i) => i + 1)
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const errorOf = (law: SourceLaw, scalariser: Scalariser) =>
    mean(seeds.map((seed) => expectedCalibrationError(predictedUnder(law, { scalariser, seed }))))

  test('rules that find mistakes and the model’s own word, all of one weight: quadratic is calibrated to 0.05, linear is far from it', () => {
    const quadratic = errorOf(mistakeFinders, 'quadratic')
    expect(quadratic).toBeLessThanOrEqual(0.05)
    expect(quadratic).toBeLessThanOrEqual(errorOf(mistakeFinders, 'linear'))
    expect(rankDetermination(predictedUnder(mistakeFinders, { scalariser: 'quadratic', seed: 1 }))).toBeGreaterThan(0.7)
  })

  test('many rules that mostly speak and hardly err: linear is calibrated to 0.05, and quadratic only flattens it', () => {
    expect(errorOf(loudRules, 'linear')).toBeLessThanOrEqual(0.05)
    expect(errorOf(loudRules, 'quadratic')).toBeGreaterThan(errorOf(loudRules, 'linear'))
  })
})

describe('calibration error', () => {
  test('of a risk that is always right is under 0.01: 0.3, a hundred thousand draws', () => {
    const random = createRandom(8)
    const draws = Array.from({ length: 100_000 }, () => ({ risk: 0.3, wrong: random.chance(0.3) }))
    expect(expectedCalibrationError(draws)).toBeLessThan(0.01)
  })

  test('of a risk that is always wrong is 1, and the ends belong to a bin', () => {
    expect(
      expectedCalibrationError([
        { risk: 1, wrong: false },
        { risk: 0, wrong: true },
      ]),
    ).toBe(1)
    expect(
      expectedCalibrationError([
        { risk: 1, wrong: true },
        { risk: 0, wrong: false },
      ]),
    ).toBe(0)
  })

  test('bins by rank hold as many each; R² is 1 where risk is the error rate, and low where it is upside down', () => {
    const stepped = (flip: boolean) =>
      Array.from({ length: 1_000 }, (_, i): Prediction => {
        const bin = Math.floor(i / 100)
        const risk = bin / 10
        return { risk: flip ? 1 - risk : risk, wrong: i % 100 < bin * 10 }
      })
    expect(rankBins(stepped(false)).map(({ count }) => count)).toEqual(Array.from({ length: 10 }, () => 100))
    expect(rankDetermination(stepped(false))).toBeCloseTo(1, 12)
    expect(rankDetermination(stepped(true))).toBeLessThan(0)
  })
})

function anyExample(random: Random, { features, classes }: HarmonizerShape): SourcedExample {
  return {
    features: new Float64Array(features).map(() => 2 * random.next() - 1),
    votes: Array.from({ length: 4 }, () => (random.chance(0.25) ? null : random.int(0, classes - 1))),
  }
}

/** Golden section, between 0 and 1. */
function leastOf(lossAt: (chance: number) => number): number {
  const ratio = (Math.sqrt(5) - 1) / 2
  let low = 1e-6
  let high = 1 - 1e-6
  while (high - low > 1e-9) {
    const [a, b] = [high - ratio * (high - low), low + ratio * (high - low)]
    if (lossAt(a) < lossAt(b)) high = b
    else low = a
  }
  return (low + high) / 2
}
