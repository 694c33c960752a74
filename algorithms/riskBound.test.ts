import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRandom, type Random } from '#test/simulate/random.ts'
import { chooseThreshold, fewestLabels, type LabelledScore } from './riskBound.ts'

const guarantee = { errorRateMax: 0.1, confidence: 0.9 }
const calibrations = 1_000
/** Two standard errors over the promise. */
const violatedMax = 0.1 + 2 * Math.sqrt((0.1 * 0.9) / calibrations)

/** What a score is worth: how it is drawn, how likely an answer with it is wrong, and the true error rate of what a threshold keeps. */
interface World {
  readonly labels: number
  draw(random: Random): LabelledScore
  errorRateAbove(threshold: number): number
}

/** Share of calibrations whose threshold keeps too many wrong answers, and of those that found one. */
function simulate(world: World, seed: number, count = calibrations) {
  const random = createRandom(seed)
  let violated = 0
  let found = 0
  for (let i = 0; i < count; i += 1) {
    const choice = chooseThreshold(
      Array.from({ length: world.labels }, () => world.draw(random)),
      guarantee,
    )
    if (choice.kind !== 'chosen') continue
    found += 1
    if (world.errorRateAbove(choice.threshold) > guarantee.errorRateMax) violated += 1
  }
  return { violated: violated / count, found: found / count }
}

/** The error falls from a half at score 0 to none at score 1. */
const informative: World = {
  labels: 400,
  draw(random) {
    const score = random.next()
    return { score, wrong: random.chance((1 - score) / 2) }
  },
  errorRateAbove: (threshold) => (1 - Math.max(0, threshold)) / 4,
}

/** Five votes: six scores, and every score is a tie of a sixth of the answers. */
const votes: World = {
  labels: 400,
  draw(random) {
    const right = random.int(0, 5)
    return { score: (2 * right - 5) / 5, wrong: random.chance(errorOfVotes[right] ?? 0) }
  },
  errorRateAbove(threshold) {
    const kept = errorOfVotes.filter((_, right) => (2 * right - 5) / 5 > threshold)
    return kept.reduce((sum, rate) => sum + rate, 0) / kept.length
  },
}
const errorOfVotes = [0.6, 0.5, 0.3, 0.2, 0.12, 0.09]

/** Every threshold is just too bad: whoever finds one has erred. */
const worthless: World = {
  labels: 400,
  draw: (random) => ({ score: random.next(), wrong: random.chance(0.101) }),
  errorRateAbove: () => 0.101,
}

/** Three scores, all just too bad together, and the best of them held by about as many as the first look needs: where it begins is chance. */
const brink: World = {
  labels: 400,
  draw(random) {
    const place = random.next()
    const { score, error } = atomsOfBrink.find(({ upTo }) => place < upTo) ?? { score: 1, error: 0.101 }
    return { score, wrong: random.chance(error) }
  },
  errorRateAbove: () => 0.101,
}
const atomsOfBrink = [
  { upTo: 0.13, score: 3, error: 0.2 },
  { upTo: 0.5, score: 2, error: (0.5 * 0.101 - 0.13 * 0.2) / 0.37 },
  { upTo: 1, score: 1, error: 0.101 },
]

/** The highest scores are the worst: what proves itself must not prove what lies above it. */
const treacherous: World = {
  labels: 300,
  draw(random) {
    const score = random.next()
    return { score, wrong: random.chance(score > 0.7 ? 0.2 : 0.05) }
  },
  errorRateAbove(threshold) {
    const low = Math.max(0, 0.7 - Math.max(0, threshold))
    return (0.2 * 0.3 + 0.05 * low) / (0.3 + low)
  },
}

/** In and out: four stretches of scores that are worse than allowed, and four that make up for it. */
const sawtooth: World = {
  labels: 300,
  draw(random) {
    const score = random.next()
    return { score, wrong: random.chance(errorOfTooth(score)) }
  },
  errorRateAbove(threshold) {
    // To a fine grid; the error is constant on stretches of an eighth.
    const from = Math.max(0, threshold)
    const points = Array.from({ length: 800 }, (_, i) => from + ((i + 0.5) / 800) * (1 - from))
    return points.reduce((sum, score) => sum + errorOfTooth(score), 0) / points.length
  },
}
const errorOfTooth = (score: number) => (Math.floor(score * 8) % 2 === 0 ? 0.16 : 0.06)

describe('1,000 calibrations at an error rate of 0.1 and a confidence of 0.9', () => {
  test('break the promise in at most a tenth of cases, and mostly find a threshold where there is one', () => {
    const { violated, found } = simulate(informative, 1)
    expect(violated).toBeLessThanOrEqual(violatedMax)
    expect(found).toBeGreaterThan(0.7)
    const more = simulate({ ...informative, labels: 1_000 }, 11, 200)
    expect(more.found).toBeGreaterThan(0.95)
  })

  test('keep it with ties, also where chance decides which is looked at first', () => {
    expect(simulate(votes, 2).violated).toBeLessThanOrEqual(violatedMax)
    expect(simulate(brink, 8).violated).toBeLessThanOrEqual(violatedMax)
  })

  test('keep it with a score that says nothing, however often one looks', () => {
    expect(simulate(worthless, 3).violated).toBeLessThanOrEqual(violatedMax)
  })

  test('keep it with a score that lies at its upper end, and with one that is right and wrong by turns', () => {
    expect(simulate(treacherous, 4).violated).toBeLessThanOrEqual(violatedMax)
    expect(simulate(sawtooth, 7).violated).toBeLessThanOrEqual(violatedMax)
  })
})

test('a perfect score keeps about all that is right', () => {
  const random = createRandom(5)
  const labelled = Array.from({ length: 1_000 }, () => {
    const wrong = random.chance(0.4)
    return { score: wrong ? random.next() : 1 + random.next(), wrong }
  })
  const choice = chooseThreshold(labelled, guarantee)
  expect(choice.kind === 'chosen' && choice.keptShare).toBeGreaterThan(0.6)
})

test('answers that are right enough are all kept', () => {
  const labelled = Array.from({ length: 300 }, (_, i) => ({ score: i, wrong: i % 50 === 0 }))
  expect(chooseThreshold(labelled, guarantee)).toMatchObject({
    kind: 'chosen',
    threshold: Number.NEGATIVE_INFINITY,
    keptShare: 1,
    kept: { labels: 300, wrong: 6 },
  })
})

test('too few labels say how many are needed, whatever they are: 22 right ones for one in ten at ninety percent', () => {
  const right = (count: number) => Array.from({ length: count }, (_, i) => ({ score: i, wrong: false }))
  expect(chooseThreshold(right(21), guarantee)).toEqual({ kind: 'too-few', labelsMin: 22 })
  expect(chooseThreshold(right(22), guarantee).kind).toBe('chosen')
  expect([0, 1, 2, 3].map((wrong) => fewestLabels(guarantee, wrong))).toEqual([22, 38, 52, 65])
  expect(chooseThreshold([], guarantee).kind).toBe('too-few')
})

test('where everything is wrong nothing is kept', () => {
  const labelled = Array.from({ length: 500 }, (_, i) => ({ score: i, wrong: true }))
  expect(chooseThreshold(labelled, guarantee)).toEqual({ kind: 'none' })
})

test('the same labels in another order give the same threshold', () => {
  const labels = fc.array(fc.record({ score: fc.integer({ min: 0, max: 20 }), wrong: fc.boolean() }), {
    minLength: 60,
    maxLength: 200,
  })
  const lenient = { errorRateMax: 0.5, confidence: 0.9 }
  fc.assert(
    fc.property(labels, (given) => {
      expect(chooseThreshold(given.toReversed(), lenient)).toEqual(chooseThreshold(given, lenient))
    }),
  )
})

test('a stricter promise keeps less', () => {
  const random = createRandom(6)
  const labelled = Array.from({ length: 800 }, () => informative.draw(random))
  const keptAt = (errorRateMax: number) => {
    const choice = chooseThreshold(labelled, { ...guarantee, errorRateMax })
    return choice.kind === 'chosen' ? choice.kept.labels : 0
  }
  const kept = [0.3, 0.2, 0.15, 0.1, 0.05].map(keptAt)
  expect(kept).toEqual(kept.toSorted((a, b) => b - a))
})
