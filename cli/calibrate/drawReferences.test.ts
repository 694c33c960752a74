import { expect, test } from 'vitest'
import { createRandom } from '#test/simulate/random.ts'
import { choiceOf, type LabelledAnswer } from './cascadeDocument.ts'
import { drawReferences } from './drawReferences.ts'

const guarantee = { errorRateMax: 0.1, confidence: 0.9 }
const calibrations = 1_000

/** Just too many wrong answers, and a score that says nothing: whoever finds a threshold has broken the promise. */
function brokenShare(labels: number): number {
  const random = createRandom(labels)
  let broken = 0
  for (let seed = 0; seed < calibrations; seed += 1) {
    const answers = Array.from({ length: labels }, () => answered(!random.chance(0.101), random.next()))
    // Nobody is right, or nobody is wrong: then there is no calibration.
    if (new Set(answers.map(({ correct }) => correct)).size < 2) continue
    const { labelled } = drawReferences(answers, 6, seed)
    if (choiceOf({ answers: labelled, guarantee }).kind === 'chosen') broken += 1
  }
  return broken / calibrations
}

const answered = (correct: boolean, score: number | null = null): LabelledAnswer => ({
  question: 'q',
  answer: 'a',
  correct,
  score,
})

test('labels that are left when references are drawn break the promise no more often than it says', () => {
  const brokenMax = 0.1 + 2 * Math.sqrt((0.1 * 0.9) / calibrations)
  expect(brokenShare(60)).toBeLessThanOrEqual(brokenMax)
  expect(brokenShare(500)).toBeLessThanOrEqual(brokenMax)
})

test('half of the labels is looked at at most, but for the first of a kind', () => {
  const answers = Array.from({ length: 100 }, (_, i) => answered(i > 1))
  const { references, labelled } = drawReferences(answers, 6, 1)
  expect(references.filter(({ correct }) => !correct).length).toBeGreaterThan(0)
  expect(labelled.length).toBeLessThanOrEqual(50)
  expect(() => drawReferences([answered(true), answered(false)], 6, 1)).toThrow(/leave no label/)
})
