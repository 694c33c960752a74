import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Hint, HintLookup } from './hintLookup.ts'
import { NgramProposer } from './ngramProposer.ts'

const prompt = [900, 901, 902]
const hintOf = (tokens: readonly number[]): Hint => ({ tokens, after: prompt.length })
const drafted = (hint: Hint, answer: readonly number[], count = 4) => {
  const lookup = new HintLookup()
  lookup.catchUp([...prompt, ...answer], hint)
  return lookup.draft(hint, count)?.tokens ?? []
}
const answerOf = (length: number) => Array.from({ length }, (_, i) => i + 1)

/** Steps of a target that verifies chains of `count`: each gives what was right of the draft, and one token more. */
function stepsFor(answer: readonly number[], hint: Hint, count = 8): number {
  const lookup = new HintLookup()
  let written = 0
  let steps = 0
  while (written < answer.length) {
    lookup.catchUp([...prompt, ...answer.slice(0, written)], hint)
    const draft = lookup.draft(hint, count)?.tokens ?? []
    let right = 0
    while (right < draft.length && draft[right] === answer[written + right]) right += 1
    written += right + 1
    steps += 1
  }
  return steps
}

describe('a hint', () => {
  test('is proposed from its beginning before there is an answer, and from where the answer stands', () => {
    const hint = hintOf(answerOf(9))
    expect(drafted(hint, [])).toEqual([1, 2, 3, 4])
    expect(drafted(hint, [1, 2, 3])).toEqual([4, 5, 6, 7])
    expect(drafted(hint, answerOf(9))).toEqual([])
  })

  test('is gone on with behind a word that was replaced', () => {
    expect(drafted(hintOf(answerOf(9)), [1, 2, 77])).toEqual([4, 5, 6, 7])
  })

  test('is found again behind a part that was left out or put in', () => {
    expect(drafted(hintOf(answerOf(20)), [1, 2, 11, 12])).toEqual([13, 14, 15, 16])
    expect(drafted(hintOf(answerOf(20)), [1, 2, 70, 71, 72, 73, 3, 4])).toEqual([5, 6, 7, 8])
  })

  test('that the answer has nothing of says nothing after a while', () => {
    expect(drafted(hintOf(answerOf(9)), [70, 71, 72])).toEqual([])
  })

  test('of places that agree alike is followed at the first one behind where it was', () => {
    const hint = hintOf([5, 6, 1, 5, 6, 2, 5, 6, 3])
    expect(drafted(hint, [5, 6, 1, 99, 98, 5, 6], 1)).toEqual([2])
  })

  test('says less of itself where it was wrong', () => {
    const hint = hintOf(answerOf(40))
    const right = new HintLookup()
    right.catchUp([...prompt, ...answerOf(20)], hint)
    const wrong = new HintLookup()
    wrong.catchUp([...prompt, 1, 70, 3, 71, 5, 72, 7, 73], hint)
    expect(right.draft(hint, 1)?.confidence[0]).toBeGreaterThan(0.9)
    expect(wrong.draft(hint, 1)?.confidence[0]).toBeLessThan(0.6)
  })

  test('gives the same however the answer came in', () => {
    const token = fc.integer({ min: 0, max: 5 })
    fc.assert(
      fc.property(fc.array(token, { maxLength: 60 }), fc.array(token, { maxLength: 60 }), fc.nat(7), (a, b, step) => {
        const hint = hintOf(a)
        const slowly = new HintLookup()
        for (let shown = 0; shown < b.length; shown += step + 1) slowly.catchUp([...prompt, ...b.slice(0, shown)], hint)
        slowly.catchUp([...prompt, ...b], hint)
        const atOnce = new HintLookup()
        atOnce.catchUp([...prompt, ...b], hint)
        expect(slowly.draft(hint, 8)).toEqual(atOnce.draft(hint, 8))
      }),
    )
  })
})

describe('an answer that agrees with its hint by half takes at most 0.8 of the steps', () => {
  const length = 64
  const shapes: Record<string, (i: number) => boolean> = {
    'the first half': (i) => i < length / 2,
    'the second half': (i) => i >= length / 2,
    'every other eight tokens': (i) => Math.floor(i / 8) % 2 === 0,
    'every other four tokens': (i) => Math.floor(i / 4) % 2 === 0,
  }
  test.each(Object.entries(shapes))('%s', (_, agrees) => {
    const answer = answerOf(length)
    const hint = hintOf(answer.map((token, i) => (agrees(i) ? token : 500 + i)))
    expect(stepsFor(answer, hint)).toBeLessThanOrEqual(0.8 * length)
  })
})

test('prompt lookup proposes from the hint where it is surer of that', () => {
  const tokens = [...prompt, 1, 2, 3]
  const asked = { key: 1, tokens, tokensMax: 4, depthMax: 4 }
  const proposer = new NgramProposer()
  expect(proposer.propose([asked])[0]?.tree.tokens).toEqual([])
  expect(proposer.propose([{ ...asked, hint: hintOf(answerOf(9)) }])[0]?.tree.tokens).toEqual([4, 5, 6, 7])
  proposer.forget(1)
  expect(proposer.sequences).toBe(0)
})
