import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  calibrated,
  compare,
  evenLaw,
  expectedVote,
  indifferentScore,
  isReliable,
  type Judged,
  type LabelLaw,
  lawOfLabels,
  marginOf,
  scoreOf,
  verdictOf,
  voteOf,
} from './metaRanking.ts'

const sure = { a: { a: 1, b: 0, alike: 0 }, b: { a: 0, b: 1, alike: 0 }, alike: { a: 0, b: 0, alike: 1 } }
const comparisons = {
  better: compare({ answerFirst: sure.a, referenceFirst: sure.b }),
  worse: compare({ answerFirst: sure.b, referenceFirst: sure.a }),
  alike: compare({ answerFirst: sure.alike, referenceFirst: sure.alike }),
}
type Of = keyof typeof comparisons
const judged = (of: Of, referenceCorrect: boolean): Judged => ({ comparison: comparisons[of], referenceCorrect })
/** Knows of every answer whether it is right, and nothing else. */
const perfect = (answerCorrect: boolean, referenceCorrect: boolean): Judged =>
  judged(answerCorrect === referenceCorrect ? 'alike' : answerCorrect ? 'better' : 'worse', referenceCorrect)

const chance = fc.double({ min: 0.001, max: 1, noNaN: true })
const law = fc.record({ a: chance, b: chance, alike: chance }).map(({ a, b, alike }) => {
  const sum = a + b + alike
  return { a: a / sum, b: b / sum, alike: alike / sum }
})
const anyJudged = fc.record({
  comparison: fc.record({ answerFirst: law, referenceFirst: law }).map(compare),
  referenceCorrect: fc.boolean(),
  weight: chance,
})

describe('published values', () => {
  test('three right and two wrong references: better than both wrong, equal to two right, worse than one: 0.6', () => {
    const votes = [
      judged('better', false),
      judged('better', false),
      judged('alike', true),
      judged('alike', true),
      judged('worse', true),
    ]
    expect(scoreOf(votes)).toBeCloseTo(0.6, 14)
    expect(scoreOf(votes, 'expected')).toBeCloseTo(0.6, 14)
  })

  test('all alike: (right - wrong) / all', () => {
    for (const [correct, wrong] of [
      [3, 2],
      [1, 4],
      [5, 5],
    ] as const) {
      const bank = [
        ...Array.from({ length: correct }, () => judged('alike', true)),
        ...Array.from({ length: wrong }, () => judged('alike', false)),
      ]
      expect(scoreOf(bank)).toBeCloseTo((correct - wrong) / (correct + wrong), 14)
      expect(indifferentScore({ correct, wrong })).toBeCloseTo(scoreOf(bank), 14)
    }
  })

  test('a perfect judge is never wrong: 1 for every right answer, -1 for every wrong one, whatever the references', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.array(fc.boolean(), { minLength: 1, maxLength: 9 }), (answerCorrect, bank) => {
        const votes = bank.map((referenceCorrect) => perfect(answerCorrect, referenceCorrect))
        const expected = answerCorrect ? 1 : -1
        expect(scoreOf(votes)).toBe(expected)
        expect(scoreOf(votes, 'expected')).toBe(expected)
        expect(isReliable(scoreOf(votes), 0)).toBe(answerCorrect)
      }),
    )
  })

  test('a judge that always says A sees no difference after the swap: every margin is 0, the score is that of all alike', () => {
    fc.assert(
      fc.property(law, fc.array(fc.boolean(), { minLength: 1, maxLength: 9 }), (always, bank) => {
        const comparison = compare({ answerFirst: always, referenceFirst: always })
        expect(marginOf(comparison)).toBeCloseTo(0, 14)
        const votes = bank.map((referenceCorrect) => ({ comparison, referenceCorrect }))
        const correct = bank.filter(Boolean).length
        expect(scoreOf(votes)).toBeCloseTo(indifferentScore({ correct, wrong: bank.length - correct }), 12)
      }),
    )
    const comparison = compare({ answerFirst: sure.a, referenceFirst: sure.a })
    expect(marginOf(comparison)).toBe(0)
    expect(verdictOf(comparison)).toBe('alike')
  })

  test('the order of references is irrelevant', () => {
    const permuted = fc
      .array(anyJudged, { minLength: 1, maxLength: 8 })
      .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })))
    fc.assert(
      fc.property(permuted, fc.constantFrom('counted' as const, 'expected' as const), ([list, other], votes) => {
        expect(scoreOf(other, votes)).toBeCloseTo(scoreOf(list, votes), 12)
      }),
    )
  })
})

test('losing to a wrong answer, or being no better, counts against; being no worse than a right one counts for', () => {
  expect([voteOf('better', true), voteOf('alike', true), voteOf('worse', true)]).toEqual([1, 1, -1])
  expect([voteOf('better', false), voteOf('alike', false), voteOf('worse', false)]).toEqual([1, -1, -1])
})

test('an expected vote is the vote where the comparison is sure, and lies between where it is not', () => {
  for (const of of ['better', 'alike', 'worse'] as const)
    for (const correct of [true, false])
      expect(expectedVote(comparisons[of], correct)).toBe(voteOf(verdictOf(comparisons[of]), correct))
  fc.assert(
    fc.property(anyJudged, ({ comparison, referenceCorrect }) => {
      expect(Math.abs(expectedVote(comparison, referenceCorrect))).toBeLessThanOrEqual(1 + 1e-12)
    }),
  )
})

test('a liking for a label is divided out: what a judge says of empty pairs becomes no opinion', () => {
  fc.assert(
    fc.property(law, law, (prior, said) => {
      close(calibrated(prior, prior), evenLaw)
      close(calibrated(said, evenLaw), said)
      // As if the judge's logits had been shifted by its liking.
      const shifted = lawOfLabels({
        a: Math.log(said.a) + Math.log(prior.a),
        b: Math.log(said.b) + Math.log(prior.b),
        alike: Math.log(said.alike) + Math.log(prior.alike),
      })
      close(calibrated(shifted, prior), said)
    }),
  )
})

test('logits become a law however large they are, and a constant added to all of them changes nothing', () => {
  close(lawOfLabels({ a: 1_000, b: 1_000, alike: -1_000 }), { a: 0.5, b: 0.5, alike: 0 })
  close(lawOfLabels({ a: -5, b: -6, alike: -7 }), lawOfLabels({ a: 2, b: 1, alike: 0 }))
})

test('swapping answer and reference turns a comparison round', () => {
  fc.assert(
    fc.property(law, law, (first, second) => {
      const one = compare({ answerFirst: first, referenceFirst: second })
      const other = compare({ answerFirst: second, referenceFirst: first })
      expect(marginOf(one)).toBeCloseTo(-marginOf(other), 12)
    }),
  )
})

test('a heavier reference decides', () => {
  const votes = [
    { ...judged('better', false), weight: 3 },
    { ...judged('worse', true), weight: 1 },
  ]
  expect(scoreOf(votes)).toBeCloseTo(0.5, 14)
})

test('a score on the threshold is not reliable', () => {
  expect([isReliable(0.2, 0.2), isReliable(0.21, 0.2)]).toEqual([false, true])
})

function close(found: LabelLaw, wanted: LabelLaw): void {
  for (const label of ['a', 'b', 'alike'] as const) expect(found[label]).toBeCloseTo(wanted[label], 10)
}
